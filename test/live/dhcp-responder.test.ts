import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  dhcpAcquire,
  type DhcpAssignment,
  DhcpError,
  dhcpRelease,
  dhcpRenew,
  DhcpResponder,
  type ResponderEvent,
  type RouterOptions,
} from '../../src/dhcp/index.ts';
import { BROADCAST_MAC, ETH_P_IP, ETH_P_IPV6, everything, PORT, udp4Filter, udp4Frame } from '../../src/dhcp/frame.ts';
import { encodeMessage } from '../../src/dhcp/message.ts';
import { OPTION, TYPE } from '../../src/dhcp/option.ts';
import { Netns, PacketSocket, readSysctl } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, jsonIn, okIn, run, runIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { useAddress } from './dhcp-bed.ts';

checkDescriptors();

const VM = '02:00:00:00:30:05';
const VM2 = '02:00:00:00:30:06';
const STRANGER = '02:00:00:00:30:99';

/** A host with bridges, machines on them, and a responder with a directory that the test writes. */
class Bed implements AsyncDisposable {
  readonly host: Netns = Netns.create();
  readonly directory = new Map<string, DhcpAssignment>();
  readonly events: ResponderEvent[] = [];
  readonly troubles: unknown[] = [];
  readonly responder: DhcpResponder;
  readonly dir: string = mkdtempSync(join(tmpdir(), 'nl-dhcp-'));
  readonly #machines: Netns[] = [];

  constructor() {
    this.responder = new DhcpResponder({
      netns: this.host,
      lookup: (network, mac) => this.directory.get(`${network} ${mac}`),
      members: (network) =>
        [...this.directory.keys()].filter((k) => k.startsWith(`${network} `)).map((k) => k.slice(-17)),
      onEvent: (event) => this.events.push(event),
      onTrouble: (_, error) => this.troubles.push(error),
    });
  }

  async bridge(name: string, address: string): Promise<void> {
    await ipBatch(this.host, [
      `link add ${name} address 02:00:00:00:30:01 type bridge`,
      `link set ${name} addrgenmode none`,
      `link set ${name} up`,
      `addr add ${address} dev ${name}`,
      `addr add fe80::1/64 dev ${name} nodad`,
    ]);
  }
  /** `eth0`, up, with that MAC address and none other, on the bridge. */
  async machine(bridge: string, mac: string): Promise<Netns> {
    const netns = Netns.create();
    this.#machines.push(netns);
    const port = `p${this.#machines.length}`;
    await okIn(netns, ['sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad']);
    await ipBatch(this.host, [
      `link add ${port} type veth peer name eth0 address ${mac} netns /proc/${process.pid}/fd/${netns.fd}`,
      `link set ${port} master ${bridge} up`,
    ]);
    await ipBatch(netns, ['link set lo up', 'link set eth0 up']);
    return netns;
  }
  client(netns: Netns, mac: string) {
    return { netns, ifname: 'eth0', mac, clientId: `id of ${mac}`, timeoutMs: 5000, probeMs: 0 };
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.responder[Symbol.dispose]();
    for (const netns of [...this.#machines, this.host]) netns.close();
    rmSync(this.dir, { recursive: true, force: true });
    await Promise.resolve();
  }
}

function assignment(more: Partial<DhcpAssignment> = {}): DhcpAssignment {
  return {
    ...{ address: '172.30.0.5/24', router: '172.30.0.1', dns: ['172.30.0.1', 'fd00:30::1'], search: ['vm.example'] },
    ...{ mtu: 1400, hostname: 'vm1', leaseSeconds: 3600 },
    ...more,
  };
}

test('busybox udhcpc gets exactly the address that was leased to it, and a stranger nothing', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', '172.30.0.1/24');
  bed.directory.set(`web ${VM}`, assignment({ routes: [{ dst: '10.0.0.0/8', gateway: '172.30.0.2' }] }));
  bed.responder.add({ network: 'web', bridge: 'br0', server: '172.30.0.1' });
  const [vm, stranger] = [await bed.machine('br0', VM), await bed.machine('br0', STRANGER)];
  const script = join(bed.dir, 'script');
  writeFileSync(script, `#!/bin/sh\nenv > ${bed.dir}/$1\n`);
  chmodSync(script, 0o755);
  const udhcpc = [
    'busybox',
    'udhcpc',
    '-f',
    '-q',
    '-n',
    '-i',
    'eth0',
    '-s',
    script,
    '-T',
    '1',
    '-O',
    'search',
    '-O',
    'mtu',
    '-O',
    'staticroutes',
  ];
  const got = await runIn(vm, [...udhcpc, '-t', '5', '-F', 'anything']);
  assert.equal(got.status, 0, got.stderr);
  const told = Object.fromEntries(
    readFileSync(join(bed.dir, 'bound'), 'utf8')
      .split('\n')
      .map((line) => [line.split('=')[0] ?? '', line.replace(/^[^=]*=/, '')]),
  );
  const { ip, mask, router, dns, search, domain, mtu, hostname, lease, serverid, staticroutes } = told;
  assert.deepEqual(
    { ip, mask, router, dns, search, domain, mtu, hostname, lease, serverid, staticroutes },
    {
      ...{
        ip: '172.30.0.5',
        mask: '24',
        router: '172.30.0.1',
        dns: '172.30.0.1',
        search: 'vm.example',
        domain: 'vm.example',
      },
      ...{ mtu: '1400', hostname: 'vm1', lease: '3600', serverid: '172.30.0.1' },
      staticroutes: '10.0.0.0/8 172.30.0.2 0.0.0.0/0 172.30.0.1',
    },
  );
  const none = await runIn(stranger, [...udhcpc, '-t', '2']);
  assert.notEqual(none.status, 0);
  assert.match(none.stderr, /no lease, failing/);
  assert.deepEqual(
    bed.events.map((e) => [e.mac, e.outcome, e.address]),
    [
      [VM, 'offer', '172.30.0.5/24'],
      [VM, 'ack', '172.30.0.5/24'],
    ],
  );
});

test('our own client: acquired, renewed by unicast without ICMP errors, refused after the address changed, released', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', '172.30.0.1/24');
  bed.directory.set(`web ${VM}`, assignment());
  bed.responder.add({ network: 'web', bridge: 'br0', server: '172.30.0.1' });
  const vm = await bed.machine('br0', VM);
  const client = bed.client(vm, VM);
  const lease = await dhcpAcquire(client);
  const { obtained, renewAt, rebindAt, expiresAt, ...said } = lease;
  assert.deepEqual(said, {
    ...{
      address: '172.30.0.5/24',
      router: '172.30.0.1',
      routes: [],
      dns: ['172.30.0.1'],
      search: ['vm.example'],
      mtu: 1400,
    },
    ...{ server: '172.30.0.1', serverMac: '02:00:00:00:30:01' },
  });
  assert.deepEqual([renewAt - obtained, rebindAt - obtained, expiresAt - obtained], [1_800_000, 3_150_000, 3_600_000]);
  await useAddress(vm, lease.address);
  const renewed = await dhcpRenew(lease, client);
  assert.equal(renewed.address, lease.address);
  const rebound = await dhcpRenew({ ...lease, rebindAt: 0 }, client);
  assert.equal(rebound.address, lease.address);
  for (const netns of [bed.host, vm]) {
    const snmp = await okIn(netns, ['cat', '/proc/thread-self/net/snmp']);
    const [names = '', values = ''] = snmp.split('\n').filter((line) => line.startsWith('Icmp: '));
    const at = names.split(' ').indexOf('OutDestUnreachs');
    assert.ok(at > 0);
    assert.equal(values.split(' ')[at], '0', 'nobody was told that the port is unreachable');
  }
  bed.directory.set(`web ${VM}`, assignment({ address: '172.30.0.8/24' }));
  await assert.rejects(dhcpRenew(renewed, client), (error) => {
    assert.ok(error instanceof DhcpError && error.refused);
    assert.match(error.message, /172\.30\.0\.5 is not the address of this machine/);
    return true;
  });
  // remembers the old one: refused, then given the new one
  const moved = await dhcpAcquire({ ...client, requested: '172.30.0.5' });
  assert.equal(moved.address, '172.30.0.8/24');
  await dhcpRelease(moved, client);
  await until('the release is told', () => bed.events.at(-1)?.outcome === 'released');
});

test('who speaks for another is not answered, nor who is not in the directory any more, nor a flood', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', '172.30.0.1/24');
  bed.directory.set(`web ${VM}`, assignment());
  bed.directory.set(`web ${VM2}`, assignment({ address: '172.30.0.6/24' }));
  bed.responder.add({ network: 'web', bridge: 'br0', server: '172.30.0.1' });
  const vm = await bed.machine('br0', VM);
  const two = await bed.machine('br0', VM2);
  using socket = PacketSocket.open(vm, 'eth0', { protocol: ETH_P_IP, filter: udp4Filter(PORT.CLIENT) });
  const discover = (srcMac: string, chaddr: string): void =>
    socket.send(
      udp4Frame({
        ...{ srcMac, dstMac: BROADCAST_MAC, src: '0.0.0.0', dst: '255.255.255.255', sport: 68, dport: 67 },
        payload: encodeMessage({
          ...{ op: 1, xid: 7, secs: 0, broadcast: true, chaddr },
          ...{ ciaddr: '0.0.0.0', yiaddr: '0.0.0.0', siaddr: '0.0.0.0', giaddr: '0.0.0.0' },
          options: new Map([[OPTION.MESSAGE_TYPE, Uint8Array.of(TYPE.DISCOVER)]]),
        }),
      }),
    );
  discover(VM, VM2);
  // what came before on this bridge was seen before
  assert.equal((await dhcpAcquire(bed.client(vm, VM))).address, '172.30.0.5/24');
  assert.deepEqual(
    bed.events.map((e) => e.mac),
    [VM, VM],
  );
  for (let i = 0; i < 500; i++) discover(VM, VM);
  assert.equal(
    (await dhcpAcquire(bed.client(two, VM2))).address,
    '172.30.0.6/24',
    'a flood of one is no harm to another',
  );
  const answered = bed.events.filter((e) => e.mac === VM).length;
  assert.ok(answered < 60, `${answered} of 502 answered`);
  bed.directory.delete(`web ${VM2}`);
  await assert.rejects(dhcpAcquire({ ...bed.client(two, VM2), timeoutMs: 400 }), {
    code: 'EDHCP',
    message: /nothing was heard/,
  });
});

test('a directory that says nonsense, or throws, harms nobody else, and is told once', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', '172.30.0.1/24');
  bed.directory.set(`web ${VM}`, assignment({ search: ['no name at all'] }));
  bed.directory.set(`web ${VM2}`, assignment({ address: '172.30.0.6/24' }));
  bed.responder.add({ network: 'web', bridge: 'br0', server: '172.30.0.1' });
  const [one, two] = [await bed.machine('br0', VM), await bed.machine('br0', VM2)];
  await assert.rejects(dhcpAcquire({ ...bed.client(one, VM), timeoutMs: 2500 }), { code: 'EDHCP' });
  assert.equal((await dhcpAcquire(bed.client(two, VM2))).address, '172.30.0.6/24');
  assert.equal(bed.troubles.length, 1);
  assert.match(String(bed.troubles[0]), /"no name at all" is no domain name/);
  bed.directory.get = (key) => {
    if (key.endsWith(VM)) throw new Error('the store is closed');
    return assignment({ address: '172.30.0.7/24' });
  };
  await assert.rejects(dhcpAcquire({ ...bed.client(one, VM), timeoutMs: 500 }), { code: 'EDHCP' });
  assert.equal((await dhcpAcquire(bed.client(two, VM2))).address, '172.30.0.7/24');
  assert.match(String(bed.troubles[1]), /the store is closed/);
});

test('many bridges at once, each with its own directory; a bridge that goes and comes back; removal', async () => {
  await using bed = new Bed();
  const names = ['n0', 'n1', 'n2', 'n3'];
  for (const [i, name] of names.entries()) {
    bed.directory.set(`${name} ${VM}`, assignment({ address: `172.30.${i}.5/24`, router: `172.30.${i}.1` }));
    bed.responder.add({ network: name, bridge: `br${i}`, server: `172.30.${i}.1` });
  }
  assert.equal(bed.troubles.length, 4, 'none is there yet');
  assert.deepEqual(
    names.filter((name) => bed.responder.serves(name)),
    [],
  );
  for (const i of names.keys()) await bed.bridge(`br${i}`, `172.30.${i}.1/24`);
  await until('all are served', () => names.every((name) => bed.responder.serves(name)));
  const machines = await Promise.all(names.map((_, i) => bed.machine(`br${i}`, VM)));
  const leases = await Promise.all(machines.map((netns) => dhcpAcquire(bed.client(netns, VM))));
  assert.deepEqual(
    leases.map((lease) => lease.address),
    names.map((_, i) => `172.30.${i}.5/24`),
  );

  await okIn(bed.host, ['ip', 'link', 'set', 'br1', 'down']);
  await until('down is noticed', () => bed.troubles.length > 4 && !bed.responder.serves('n1'));
  await okIn(bed.host, ['ip', 'link', 'set', 'br1', 'up']);
  await until('up is noticed', () => bed.responder.serves('n1'));
  assert.equal((await dhcpAcquire(bed.client(machines[1]!, VM))).address, '172.30.1.5/24');

  await okIn(bed.host, ['ip', 'link', 'delete', 'br2']);
  await until('deletion is noticed', () => !bed.responder.serves('n2'));
  await bed.bridge('br2', '172.30.2.1/24');
  await until('the new one is served', () => bed.responder.serves('n2'));
  const again = await bed.machine('br2', VM);
  assert.equal((await dhcpAcquire(bed.client(again, VM))).address, '172.30.2.5/24');

  bed.responder.remove('n3');
  await assert.rejects(dhcpAcquire({ ...bed.client(machines[3]!, VM), timeoutMs: 400 }), { code: 'EDHCP' });
  assert.equal((await dhcpAcquire(bed.client(machines[0]!, VM))).address, '172.30.0.5/24');
});

const ROUTER: RouterOptions = {
  ...{ prefixes: ['fd00:30::/64'], slaac: true, managed: false, gateway: true, interval: 2 },
  ...{ dns: ['fd00:30::1', '172.30.0.1'], search: ['vm.example'], mtu: 1400 },
};

/** Records IPv6 frames, and has tcpdump say what they are. */
class Recorder implements Disposable {
  readonly frames: Uint8Array[] = [];
  readonly #socket: PacketSocket;
  constructor(netns: Netns) {
    this.#socket = PacketSocket.open(netns, 'eth0', { protocol: ETH_P_IPV6, filter: everything() });
    this.#socket.listen({
      frames: (frames) => void this.frames.push(...frames.map((frame) => frame.slice())),
      ended: () => undefined,
    });
  }
  /** Advertisements among them. */
  get adverts(): number {
    return this.frames.filter((frame) => frame[20] === 58 && frame[54] === 134).length;
  }
  async read(file: string): Promise<string> {
    // pcap-savefile(5): little-endian, version 2.4, Ethernet
    const head = Buffer.alloc(24);
    for (const [at, value] of [
      [0, 0xa1b2_c3d4],
      [4, 0x0004_0002],
      [16, 65535],
      [20, 1],
    ] as const)
      head.writeUInt32LE(value, at);
    const records = this.frames.flatMap((frame) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      return [record, frame];
    });
    writeFileSync(file, Buffer.concat([head, ...records]));
    // as somebody who is not root: as root, tcpdump wants to become another user, which a user namespace may not know
    const { stdout, stderr, status } = await run([
      'unshare',
      '--user',
      '--map-user=1000',
      'tcpdump',
      '-n',
      '-vv',
      '-r',
      file,
    ]);
    assert.equal(status, 0, stderr);
    return stdout;
  }
  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

interface Address {
  readonly local: string;
  readonly prefixlen: number;
  readonly dynamic?: boolean;
}
async function globals(netns: Netns): Promise<Address[]> {
  const links = await jsonIn<{ addr_info?: Address[] }[]>(netns, [
    'ip',
    '-6',
    '-j',
    'addr',
    'show',
    'dev',
    'eth0',
    'scope',
    'global',
  ]);
  return links.flatMap((link) => link.addr_info ?? []);
}

test('a kernel takes prefix, default route and MTU from our advertisement; a container beside it hears none', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', 'fd00:30::1/64');
  bed.directory.set(`web ${VM}`, assignment());
  bed.responder.add({ network: 'web', bridge: 'br0', router: ROUTER });
  const container = await bed.machine('br0', STRANGER);
  using deaf = new Recorder(container);
  const vm = await bed.machine('br0', VM);
  using oracle = new Recorder(vm);
  // a machine that is up when the responder starts is told without asking, within a moment
  const [address] = await until('an address', async () => {
    const found = await globals(vm);
    return found.length > 0 && found;
  });
  assert.deepEqual([address?.local, address?.prefixlen, address?.dynamic], ['fd00:30::ff:fe00:3005', 64, true]);
  const [route] = await jsonIn<{ gateway: string; protocol: string; expires: number }[]>(vm, [
    'ip',
    '-6',
    '-j',
    'route',
    'show',
    'default',
  ]);
  assert.deepEqual([route?.gateway, route?.protocol], ['fe80::1', 'ra']);
  assert.ok(route!.expires > 0 && route!.expires <= 18);
  assert.equal(readSysctl(vm, 'net.ipv6.conf.eth0.mtu'), '1400');
  assert.ok(bed.events.some((e) => e.outcome === 'advert' && e.mac === VM));
  // as another program reads it; unsolicited, after the interval
  await until('another advertisement', () => oracle.adverts >= 2, { timeout: 10_000 });
  const text = await oracle.read(join(bed.dir, 'vm.pcap'));
  for (const part of [
    /hop limit 64, Flags \[none\].* router lifetime 18s/,
    /source link-address option \(1\).*02:00:00:00:30:01/,
    /mtu option \(5\).*1400/,
    /prefix info option \(3\).*fd00:30::\/64, Flags \[onlink, auto\]/,
    /rdnss option \(25\).*lifetime 18s, addr: fd00:30::1$/m,
    /dnssl option \(31\).*lifetime 18s, domain\(s\): vm\.example\./,
  ])
    assert.match(text, part);
  assert.doesNotMatch(text, /bad icmp6 cksum|wrong/);
  assert.deepEqual(await globals(container), []);
  assert.equal(deaf.adverts, 0);
  assert.doesNotMatch(await deaf.read(join(bed.dir, 'container.pcap')), /router advertisement/);

  // changed while it runs: no address of its own any more, and no way out
  bed.responder.add({ network: 'web', bridge: 'br0', router: { ...ROUTER, gateway: false } });
  await until('the route is withdrawn', async () => {
    const routes = await jsonIn<unknown[]>(vm, ['ip', '-6', '-j', 'route', 'show', 'default']);
    return routes.length === 0;
  });
});

test('advertisements that cannot be made are told, and the rest goes on', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', '172.30.0.1/24');
  bed.directory.set(`web ${VM}`, assignment());
  bed.responder.add({
    network: 'web',
    bridge: 'br0',
    server: '172.30.0.1',
    router: { ...ROUTER, search: ['no name'] },
  });
  assert.match(String(bed.troubles[0]), /"no name" is no domain name/);
  const vm = await bed.machine('br0', VM);
  assert.equal((await dhcpAcquire(bed.client(vm, VM))).address, '172.30.0.5/24');
  bed.responder.add({ network: 'web', bridge: 'br0', server: '172.30.0.1', router: ROUTER });
  await until('the address', async () => (await globals(vm)).length > 0);
});

test('without SLAAC a kernel makes no address', async () => {
  await using bed = new Bed();
  await bed.bridge('br0', 'fd00:30::1/64');
  bed.directory.set(`web ${VM}`, assignment());
  bed.responder.add({ network: 'web', bridge: 'br0', router: { ...ROUTER, slaac: false, managed: true } });
  const vm = await bed.machine('br0', VM);
  await until(
    'the route',
    async () => (await jsonIn<unknown[]>(vm, ['ip', '-6', '-j', 'route', 'show', 'default'])).length > 0,
  );
  assert.deepEqual(await globals(vm), []);
});
