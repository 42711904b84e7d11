/** Who may call the daemon. Here, since only root can become somebody else. */
import assert from 'node:assert/strict';
import { chmodSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { makeShimBed } from '../lib/shim.ts';

checkDescriptors();

test('strangers are refused, whatever the mode of the socket', async () => {
  await using site = await makeShimBed();
  const daemon = await site.start();
  assert.equal(statSync(site.callSocket).mode & 0o777, 0o600);
  for (const dir of [site.bed.dirs.root, site.bed.paths.runDir]) chmodSync(dir, 0o755);
  const before = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  // closed to them by its mode, so that the program is tried, which they may not either
  const closed = await site.call('STATUS', { before, env: { NETLOOM_PROGRAM: '/nonexistent' } });
  assert.deepEqual([closed.status, closed.json['code']], [1, 50]);
  chmodSync(site.callSocket, 0o666);
  const refused = await site.call('STATUS', { before });
  assert.deepEqual([refused.status, refused.json['code']], [1, 104], JSON.stringify(refused.json));
  assert.match(String(refused.json['msg']), /user 65534/);
  assert.match(daemon.output(), /a stranger was refused/);
});
