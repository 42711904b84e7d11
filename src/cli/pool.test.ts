import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ran } from './fixture.test.ts';

const asked: [typed: string, method: string, ...args: unknown[]][] = [
  ['pool create', 'poolCreate', {}],
  [
    'pool create --subnet 10.7.0.0/24 --gateway none --ip-range 10.7.0.128/25 --aux-address nas=10.7.0.130 lab',
    'poolCreate',
    {
      name: 'lab',
      subnet: '10.7.0.0/24',
      gateway: 'none',
      ipRange: '10.7.0.128/25',
      auxAddresses: { nas: '10.7.0.130' },
    },
  ],
  ['pool create --ipv6 lab', 'poolCreate', { name: 'lab', family: 6 }],
  ['pool release lab 10.7.0.5', 'addressRelease', { pool: 'lab', address: '10.7.0.5' }],
  ['pool rm lab', 'poolRemove', 'lab', {}],
  ['pool rm -f lab', 'poolRemove', 'lab', { force: true }],
];
for (const [typed, ...call] of asked) {
  test(`netloom ${typed}`, async () => {
    const { calls, status, stderr } = await ran(typed.split(' '));
    assert.deepEqual([calls[0], status, stderr], [call, 0, '']);
  });
}

const printed: [typed: readonly string[], stdout: string][] = [
  [['create', 'lab'], `${'5'.repeat(64)}\n`],
  [['ls'], 'POOL ID        NAME   SUBNET        GATEWAY    RANGE\n555555555555   lab    10.7.0.0/24   10.7.0.1\n'],
  [['ls', '-q'], '555555555555\n'],
  [['release', 'lab', '10.7.0.5', '10.7.0.6'], '10.7.0.5\n10.7.0.6\n'],
  [['rm', 'lab'], 'lab\n'],
  [
    ['inspect', '-f', '{{.Subnet}} {{range .Allocations}}{{.Address}} {{.Owner}}{{end}}', 'lab'],
    '10.7.0.0/24 10.7.0.2/24 cni:web:3f1c:eth0\n',
  ],
];
for (const [typed, expected] of printed) {
  test(`netloom pool ${typed.join(' ')} prints`, async () => {
    const { stdout, stderr, status } = await ran(['pool', ...typed]);
    assert.deepEqual({ stdout, stderr, status }, { stdout: expected, stderr: '', status: 0 });
  });
}

test('--json prints the records of the API', async () => {
  const one = async (...words: string[]): Promise<unknown> =>
    JSON.parse((await ran(['--json', 'pool', ...words])).stdout) as unknown;
  const [pool] = (await one('ls')) as object[];
  assert.deepEqual(await one('create', 'lab'), pool);
  assert.deepEqual(await one('rm', 'lab'), [pool]);
  assert.deepEqual(await one('inspect', 'lab'), [
    { ...pool, allocations: [{ address: '10.7.0.2/24', owner: 'cni:web:3f1c:eth0' }] },
  ]);
});

const refused: [typed: string, message: RegExp][] = [
  ['pool rm', /POOL is missing/],
  ['pool release lab', /POOL ADDRESS is missing/],
  ['pool create --aux-address 10.0.0.1 x', /not KEY=VALUE/],
];
for (const [typed, message] of refused) {
  test(`netloom ${typed} is refused`, async () => {
    const { stderr, status, calls } = await ran(typed.split(' '));
    assert.equal(status, 2);
    assert.match(stderr, message);
    assert.deepEqual(calls, []);
  });
}
