import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVENTS, FixtureEngine, REPORT, ran } from './fixture.test.ts';

const line = (typed: string): string[] => typed.split(' ');

test('doctor: a line a finding, what was seen and what cures it; 1 where anything failed', async () => {
  const { stdout, status } = await ran(line('doctor'));
  assert.equal(status, 1);
  assert.equal(
    stdout,
    `✔ kernel-features: everything is there
✘ foreign-drops (network web): a rule of Docker drops what is forwarded from and to network web: its containers reach nobody outside
    seen:
      table ip filter, chain FORWARD: policy drop
      counter packets 12 bytes 720
    cure:
      iptables -I FORWARD -i br-web -j ACCEPT
      Or set "ip-forward-no-drop": true in daemon.json.
? clock: no time server was asked
1 failure, 1 unknown, 1 ok
`,
  );
  const wide = await ran(line('doctor'), { columns: 80, env: { NO_COLOR: '1' } });
  for (const each of wide.stdout.split('\n')) assert.ok(each.length <= 80, each);
  assert.ok(!wide.stdout.includes('\u001b'));
  assert.ok((await ran(line('doctor'), { columns: 80 })).stdout.includes('\u001b[31m✘\u001b[0m'));
  const json = await ran(line('doctor --json'));
  assert.equal(json.status, 1);
  assert.deepEqual(JSON.parse(json.stdout), REPORT);
});
test('doctor takes no control characters from what it shows', async () => {
  const engine = new FixtureEngine();
  const finding = {
    check: 'a\nb',
    status: 'warning',
    summary: '\u001b[2Jx',
    evidence: ['e\r\nf'],
    cure: ['c\u0007'],
    object: '',
  } as const;
  engine.report = { ...REPORT, findings: [finding] };
  const { stdout, status } = await ran(line('doctor'), { engine });
  assert.equal(stdout, '! a b: [2Jx\n    seen:\n      e  f\n    cure:\n      c \n1 warning\n');
  assert.equal(status, 0);
});
test('gc says what it did, or would; 1 where something could not be put right', async () => {
  const dry = await ran(line('gc --dry-run'));
  assert.match(
    dry.stdout,
    /^# network web\nip link add[^]*# to reclaim: endpoint eth0 of blog: its namespace is gone\n/,
  );
  assert.equal(dry.status, 0);
  const engine = new FixtureEngine();
  engine.garbage = { reclaimed: [], removed: [], repaired: [], failed: [] };
  assert.equal((await ran(line('gc'), { engine })).stdout, 'nothing to do\n');
  engine.garbage = { ...engine.garbage, failed: ['link br-web: EBUSY'] };
  const failed = await ran(line('gc --json'), { engine });
  assert.equal(failed.status, 1);
  assert.deepEqual(JSON.parse(failed.stdout), engine.garbage);
});
const followed: [typed: string, stdout: string][] = [
  [
    'events',
    `2026-11-21T08:00:00.123Z network create web (driver=bridge)
2026-11-21T08:00:01.000Z repair repair link br-web (cause=link down, object=network web)
`,
  ],
  [
    'events --type repair',
    '2026-11-21T08:00:01.000Z repair repair link br-web (cause=link down, object=network web)\n',
  ],
  [
    'events --json',
    EVENTS.slice(0, 2)
      .map((event) => `${JSON.stringify(event)}\n`)
      .join(''),
  ],
  [
    'events --type network --format {{.Type}}:{{.Action}}:{{.Name}}:{{.Attributes.driver}}',
    'network:create:web:bridge\n',
  ],
  ['dns log', '2026-11-21T08:00:02.000Z dns query db (type=A, of=blog)\n'],
];
for (const [typed, expected] of followed) {
  test(`netloom ${typed} follows until ^C, and ends well`, async () => {
    const engine = new FixtureEngine();
    engine.onQuiet = () => void process.emit('SIGINT');
    const { stdout, stderr, status } = await ran(line(typed), { engine });
    assert.deepEqual({ stdout, stderr, status }, { stdout: expected, stderr: '', status: 0 });
    assert.equal(process.listenerCount('SIGINT'), 0);
  });
}
test('events: colours on a terminal only; the end of the daemon and its absence are told', async () => {
  const engine = new FixtureEngine();
  engine.onQuiet = () => void process.emit('SIGTERM');
  assert.ok((await ran(line('events'), { engine, columns: 80 })).stdout.includes('\u001b[1mcreate\u001b[0m web'));
  assert.ok(!(await ran(line('events'), { engine, columns: 80, env: { NO_COLOR: '1' } })).stdout.includes('\u001b'));
  engine.events = async function* none() {};
  const ended = await ran(line('events'), { engine });
  assert.deepEqual([ended.status, ended.stderr], [1, 'netloom: the daemon has stopped\n']);
  engine.mode = 'in-process';
  const alone = await ran(line('dns log --json'), { engine });
  assert.equal(alone.status, 1);
  assert.match(alone.stderr, /^netloom: no daemon runs[^\n]*\n {2}start one: netloom daemon/);
});
