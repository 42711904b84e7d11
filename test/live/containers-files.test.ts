import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../lib/run.ts';
import { etcOf, makeContainerBed } from './containers-bed.ts';

const WORKER = fileURLToPath(new URL('containers-worker.ts', import.meta.url));

for (const [what, text, upstreams, expected] of [
  [
    'one that containers can reach',
    'nameserver 192.0.2.53\nnameserver 127.0.0.1\nsearch a.example\nsearch b.example c.example\noptions edns0 trust-ad\n',
    '',
    'nameserver 192.0.2.53\nsearch b.example c.example\noptions edns0 trust-ad\n',
  ],
  [
    'only the stub of systemd-resolved',
    'nameserver 127.0.0.53\noptions edns0\n',
    'nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch lan\n',
    'nameserver 192.0.2.1\nsearch lan\n',
  ],
  [
    'only one on loopback',
    'nameserver 127.0.0.1\n',
    'nameserver 192.0.2.1\n',
    '# every name server of the host is on its own loopback interface; --dns gives others\n',
  ],
  ['none at all', '', '', '# every name server of the host is on its own loopback interface; --dns gives others\n'],
] as const) {
  test(`resolv.conf of a host with ${what}`, async () => {
    await using bed = await makeContainerBed();
    const { root } = bed.dirs;
    writeFileSync(join(root, 'resolv.conf'), text);
    mkdirSync(join(root, 'resolve'));
    writeFileSync(join(root, 'resolve', 'resolv.conf'), upstreams);
    // seen by that process only
    const script = [
      `mount --bind ${root}/resolv.conf "$(readlink -f /etc/resolv.conf)"`,
      'mkdir -p /run/systemd/resolve',
      `mount --bind ${root}/resolve /run/systemd/resolve`,
      'exec "$@"',
    ].join(' && ');
    const { status, stderr } = await run([
      'unshare',
      '-m',
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      '--no-warnings',
      WORKER,
      bed.options,
      'resolv',
    ]);
    assert.equal(status, 0, stderr);
    assert.equal(etcOf(bed, 'box', 'resolv.conf').split('\n').slice(1).join('\n'), expected);
  });
}

test('files that somebody else keeps for a namespace of that name are used, and stay', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const dir = join(bed.paths.etcNetnsDir, 'box');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'resolv.conf'), 'nameserver 192.0.2.99\n');
  writeFileSync(join(dir, 'issue'), 'theirs\n');
  await engine.containerCreate({ name: 'box', command: ['sleep', '300'], networkMode: 'none' });
  const plan = await engine.containerSpawnPlan('box', { foreground: true });
  assert.ok(plan.args.includes(join(dir, 'resolv.conf')));
  assert.match(etcOf(bed, 'box', 'hosts'), /^# made by netloom/);
  await engine.containerRemove('box');
  assert.equal(readFileSync(join(dir, 'resolv.conf'), 'utf8'), 'nameserver 192.0.2.99\n');
  assert.ok(existsSync(join(dir, 'issue')));
  assert.ok(!existsSync(join(dir, 'hosts')));
});
