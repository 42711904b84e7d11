/** Where it was Docker that switched forwarding on, it drops what others forward: doctor says so, docs/docker.md helps. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { IMAGE, startDocker } from '../lib/dockerd.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';

checkDescriptors();

const PAGE = readFileSync(new URL('../../docs/docker.md', import.meta.url), 'utf8');

for (const { release, suite } of [
  { release: "the distribution's Docker", suite: false },
  { release: 'the later Docker', suite: true },
]) {
  test(`${release}: its FORWARD policy is named, and the page's rules let netloom through`, async () => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite, forwarding: false });
    await it.docker('network', 'create', '-d', 'netloom', '--subnet', '10.6.0.0/24', 'mynet');
    await it.docker('run', '-d', '--name', 'web', '--network', 'mynet', IMAGE);
    const ping = ['exec', 'web', 'ping', '-c', '1', '-W', '1', ADDRESS.internet];
    assert.notEqual((await it.tried(...ping)).status, 0);
    const doctor = await it.machine.run(['netloom', 'doctor']);
    assert.match(doctor.stdout, /FORWARD/);
    const rules = /for family in [^]*?done/.exec(PAGE)?.[0] ?? '';
    assert.match(rules, /DOCKER-USER/);
    await it.machine.ok(['sh', '-ec', rules]);
    await it.docker(...ping);
  });
}
