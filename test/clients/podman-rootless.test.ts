/** A user's own Podman, whose containers are in a network namespace of the user's: the program does it there by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpServer } from '../lib/peer.ts';
import { makePodman, page, served, SERVE } from '../lib/podman.ts';

checkDescriptors();

/** A user with ids for the users of containers, who may open /dev/net/tun, as a login makes them. */
const USER = `
echo user:x:1000:1000::/home/user:/bin/sh >>/etc/passwd
echo user:x:1000: >>/etc/group
echo user:100000:65536 | tee /etc/subuid >/etc/subgid
install -d -o 1000 -g 1000 -m 700 /home/user /run/user/1000
mknod -m 666 /run/tun c 10 200
mount --bind /run/tun /dev/net/tun
printf '[storage]\\ndriver = "vfs"\\n' >/etc/containers/storage.conf
`;

test('two containers of a user reach each other and the outside, are reached, and leave nothing', async () => {
  // root's daemon runs, and is nobody's business here
  await using host = await makePodman({ from: 'suite', shim: true, door: 'netavark' });
  const { machine } = host;
  await machine.ok(['sh', '-ec', USER]);
  const as = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', 'env', 'HOME=/home/user'];
  const user = (...words: readonly string[]): Promise<string> =>
    machine.ok([...as, 'XDG_RUNTIME_DIR=/run/user/1000', 'env', '-C', '/home/user', ...words], { timeout: 60_000 });
  const podman = (...words: readonly string[]): Promise<string> => user('podman', ...words);

  await user('sh', '-ec', 'tar -C /tmp/image -c . | podman import -q - box');
  await podman('network', 'create', 'web');
  await podman('run', '-d', '--name', 'a', '--network', 'web', '-p', '8080:80', 'box', ...SERVE);
  await podman('run', '-d', '--name', 'b', '--network', 'web', 'box', 'sleep', '1000');
  const address = (await podman('inspect', '-f', '{{.NetworkSettings.Networks.web.IPAddress}}', 'a')).trim();
  await podman('exec', 'b', 'ping', '-c', '1', '-W', '3', address);
  assert.match(await podman('exec', 'b', 'wget', '-q', '-O', '-', `http://${address}/`), /served/);
  await served(host, 8080);
  await using server = await tcpServer(host.bed.host.outside, '0.0.0.0', 0, 'outside');
  assert.match(await podman('exec', 'b', 'nc', '-w', '3', ADDRESS.outside, String(server.port)), /outside/);
  // the host's engine knows nothing of it
  assert.deepEqual(JSON.parse(await host.netloom('endpoint', 'ls', '--json')), []);

  const mine = ['--state-dir', 'state', '--run-dir', 'run', '--json'];
  const list = async (what: string): Promise<{ name?: string }[]> => {
    const where = '/run/user/1000/containers/networks/netloom';
    const words = ['podman', 'unshare', '--rootless-netns', 'env', '-C', where, 'netloom', what, 'ls', ...mine];
    return JSON.parse(await user(...words)) as { name?: string }[];
  };
  assert.equal((await list('endpoint')).length, 2);
  await podman('rm', '-f', '-t', '0', 'a', 'b');
  assert.equal(await page(host, 8080), '');
  assert.deepEqual(await list('endpoint'), []);
  assert.ok(!(await list('network')).some(({ name }) => name === 'web'));
});
