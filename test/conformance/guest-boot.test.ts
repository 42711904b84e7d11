/** The virtual machine of test/lib/guest.ts on a network that `ip` and dnsmasq made: what it shows is the bed itself. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../lib/dirs.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { bootGuest } from '../lib/guest.ts';
import { ipBatch, jsonIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const MAC = '02:00:00:00:00:99';

/** A bridge with a tap at 192.0.2.1, and a container behind it at 192.0.2.10. */
async function makeNetwork(netns: Netns, container: Netns): Promise<void> {
  await ipBatch(netns, [
    'link set lo up',
    'link add br0 type bridge',
    'addr add 192.0.2.1/24 dev br0',
    'tuntap add tap0 mode tap',
    'link set tap0 master br0 up',
    `link add port0 type veth peer name eth0 netns /proc/${process.pid}/fd/${container.fd}`,
    'link set port0 master br0 up',
    'link set br0 up',
  ]);
  await ipBatch(container, ['addr add 192.0.2.10/24 dev eth0', 'link set eth0 up']);
}

function emulators(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`mac=${MAC}`);
    } catch {
      return false; // gone meanwhile
    }
  });
}

test('a guest gets an address by DHCP, resolves a name, fetches a page from a container', async () => {
  using dirs = makeDirs();
  using netns = Netns.create();
  using container = Netns.create();
  await makeNetwork(netns, container);
  const pages = join(dirs.root, 'pages');
  mkdirSync(pages);
  writeFileSync(join(pages, 'index.html'), 'a page from a container\n');
  await using web = startIn(container, ['busybox', 'httpd', '-f', '-vv', '-p', '192.0.2.10:80', '-h', pages]);
  const dnsmasq = [
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=', '--group=', '--log-facility=-'],
    ...['--interface=br0', '--bind-interfaces', '--no-resolv', '--no-hosts', '--no-ping', '--log-dhcp', '--pid-file='],
    ...['--dhcp-range=192.0.2.50,192.0.2.60,1h', `--dhcp-host=${MAC},192.0.2.55`, '--dhcp-authoritative'],
    ...['--address=/web.example/192.0.2.10', '--domain=example', `--dhcp-leasefile=${join(dirs.root, 'leases')}`],
  ];
  await using server = startIn(netns, dnsmasq);
  await until('dnsmasq serves', () => server.output().includes('DHCP, IP range'));

  const script = `
    udhcpc -i eth0 -n -q -t 5 -T 1 || exit 1
    ip -4 -o addr show dev eth0
    nslookup -type=a web.example || exit 2
    wget -q -O - http://web.example/ || exit 3
    exit 7`;
  const { output, exitCode } = await bootGuest({ netns, tap: 'tap0', mac: MAC, script });
  const said = `${output}\n${server.output()}\n${web.output()}`;
  assert.equal(exitCode, 7, said);
  assert.match(output, /inet 192\.0\.2\.55\/24 /, said);
  assert.match(output, /Name:\s+web\.example\nAddress: 192\.0\.2\.10/, said);
  assert.match(output, /a page from a container/, said);
  assert.match(server.output(), new RegExp(`DHCPACK\\(br0\\) 192\\.0\\.2\\.55 ${MAC}`));
  // Seen from here, the guest's end is the tap: its peer has gone, and the tap has not.
  const taps = await jsonIn<{ operstate: string }[]>(netns, ['ip', '-j', 'link', 'show', 'tap0']);
  assert.equal(taps[0]!.operstate, 'DOWN');
  assert.deepEqual(emulators(), []);
});

test('a guest that is told to end, or takes too long, is gone; one that cannot start says why', async () => {
  using netns = Netns.create();
  await ipBatch(netns, ['tuntap add tap0 mode tap', 'link add veth0 type veth peer name veth1']);
  const guest = { netns, tap: 'tap0', mac: MAC, script: 'sleep 600' };

  const abort = new AbortController();
  const aborted = bootGuest({ ...guest, signal: abort.signal });
  await until('QEMU runs', () => emulators().length === 1);
  abort.abort(new Error('enough'));
  await assert.rejects(aborted, /^Error: enough$/);
  assert.deepEqual(emulators(), []);

  await assert.rejects(
    bootGuest({ ...guest, timeout: 300 }),
    /^Error: the guest was not done after 300 ms; output: ; /,
  );
  assert.deepEqual(emulators(), []);

  await assert.rejects(bootGuest({ ...guest, tap: 'veth0' }), /^Error: the guest went away.*\/dev\/net\/tun.*veth0/);
  await assert.rejects(bootGuest({ ...guest, signal: AbortSignal.abort(new Error('before')) }), /^Error: before$/);
});
