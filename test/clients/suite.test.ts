/** The two machines that the other tests of this directory run real clients in. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { enterDistribution, enterSuite } from '../lib/suite.ts';

checkDescriptors();

for (const [name, enter] of [
  ['the later suite', enterSuite],
  ['the distribution', enterDistribution],
] as const) {
  test(`${name}: programs run over its files, and nothing of what they do is left`, async () => {
    await using bed = await makeEngineBed();
    const mark = `/etc/netloom-mark-${process.pid}`;
    let seen: number;
    {
      await using machine = await enter({ netns: bed.host.netns, binds: [{ from: bed.dirs.root, to: '/given' }] });
      assert.match(await machine.ok(['ip', '-4', 'addr', 'show', 'eth0']), /192\.0\.2\.1\/24/);
      assert.match(await machine.ok(['netloom', 'version']), /netloom/);
      for (const program of ['podman', 'dockerd', 'containerd', 'runc'])
        assert.match(await machine.ok([program, '--version']), /\d+\.\d+/, program);
      writeFileSync(machine.path(mark), 'written');
      writeFileSync(`${bed.dirs.root}/file`, 'theirs');
      assert.equal(await machine.ok(['cat', mark, '/given/file']), 'writtentheirs');
      await machine.ok(['sh', '-c', 'echo more >>/given/file']);
      const refused = await machine.run(['sh', '-c', 'exit 7']);
      assert.equal(refused.status, 7);

      // what is ended by its test, and what nobody ends
      await using sleeper = machine.start(['sleep', '1000']);
      await machine.ok(['sh', '-c', 'sleep 1000 >/dev/null 2>&1 & echo $! >/given/pid']);
      const inside = readFileSync(`${bed.dirs.root}/pid`, 'utf8').trim();
      const status = await machine.ok(['cat', `/proc/${inside}/comm`]);
      assert.equal(status.trim(), 'sleep');
      seen = machine.pid;
      assert.ok(sleeper.kill('SIGKILL'));
    }
    assert.equal(readFileSync(`${bed.dirs.root}/file`, 'utf8'), 'theirsmore\n');
    assert.ok(!existsSync(mark));
    assert.ok(!existsSync(`/proc/${seen}`));
  });
}
