import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dhcpAcquire, DhcpError, DhcpKeeper, type DhcpLease, dhcpRelease, dhcpRenew } from '../../src/dhcp/index.ts';
import { ETH_P_IP, PORT, readUdp4, udp4Filter, udp4Frame } from '../../src/dhcp/frame.ts';
import { decodeMessage, encodeMessage } from '../../src/dhcp/message.ts';
import { OPTION, TYPE } from '../../src/dhcp/option.ts';
import { Netns, PacketSocket } from '../../src/kernel/index.ts';
import { withoutLength } from '../../src/addr/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { ipBatch, jsonIn, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { type Lan, makeLan, useAddress } from './dhcp-bed.ts';

checkDescriptors();

const RANGE = '--dhcp-range=192.168.77.50,192.168.77.99,255.255.255.0,2m';

function box(lan: Lan, clientId = 'box-1') {
  return { netns: lan.container, ifname: 'eth0', mac: lan.mac, clientId, timeoutMs: 5000 };
}

test('a container without an address gets one from the LAN, by its own macvlan', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq(
    RANGE,
    '--dhcp-option=option:mtu,1400',
    '--dhcp-option=option:domain-search,a.example,b.example',
    '--dhcp-option=option:classless-static-route,10.0.0.0/8,192.168.77.254,0.0.0.0/0,192.168.77.1',
    '--dhcp-option=option:dns-server,192.168.77.1,9.9.9.9',
  );
  const before = Date.now();
  const lease = await dhcpAcquire({ ...box(lan), hostname: 'box' });
  const { obtained, serverMac, address, ...rest } = lease;
  const [port] = await jsonIn<{ address: string }[]>(lan.router, ['ip', '-j', 'link', 'show', 'eth0']);
  assert.match(address, /^192\.168\.77\.\d+\/24$/);
  assert.equal(serverMac, port?.address);
  assert.ok(obtained >= before && obtained <= Date.now());
  assert.deepEqual(rest, {
    router: '192.168.77.1',
    routes: [{ dst: '10.0.0.0/8', gateway: '192.168.77.254' }],
    dns: ['192.168.77.1', '9.9.9.9'],
    search: ['a.example', 'b.example'],
    mtu: 1400,
    server: '192.168.77.1',
    renewAt: obtained + 60_000,
    rebindAt: obtained + 105_000,
    expiresAt: obtained + 120_000,
  });
  const [line = ''] = server.leases();
  // the client id is type 0 and the text: RFC 2132 section 9.14
  assert.ok(
    line.endsWith(
      ` ${lan.mac} ${withoutLength(lease.address)} box 00:${Buffer.from('box-1').toString('hex').replace(/..\B/g, '$&:')}`,
    ),
    line,
  );
  assert.equal(
    (await okIn(lan.container, ['ip', '-4', 'addr', 'show', 'eth0'])).trim(),
    '',
    'the interface is as it was',
  );
  await useAddress(lan.container, lease.address);
  assert.ok(await ping(lan.container, '192.168.77.1'), 'the address works');
});

test('pain 28 (libnetwork#843): a lease is renewed by its server, given back, and forgotten there', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq(RANGE);
  const client = box(lan);
  const lease = await dhcpAcquire({ ...client, probeMs: 0 });
  await useAddress(lan.container, lease.address);
  const renewed = await dhcpRenew(lease, client);
  assert.equal(renewed.address, lease.address);
  assert.ok(renewed.obtained > lease.obtained && renewed.expiresAt > lease.expiresAt);
  // T2 has passed: any server is asked, by broadcast
  const rebound = await dhcpRenew(
    { ...renewed, rebindAt: 0, server: '192.168.77.250', serverMac: '02:00:00:00:00:99' },
    client,
  );
  assert.equal(rebound.address, lease.address);
  assert.equal(rebound.server, '192.168.77.1');
  assert.equal(server.leases().length, 1);
  await dhcpRelease(rebound, client);
  await until('the server forgot the lease', () => server.leases().length === 0);
  const logged = `DHCPRELEASE(eth0) ${withoutLength(lease.address)} ${lan.mac}`;
  await until('the server says so', () => server.log().includes(logged));
});

test('an address that was ours is asked for first, without a new discovery', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq(RANGE, '--dhcp-authoritative');
  const client = box(lan);
  const first = await dhcpAcquire({ ...client, probeMs: 0 });
  const log = (word: string): number => server.log().split(word).length - 1;
  await until('the server says so', () => log('DHCPACK') === 1);
  const again = await dhcpAcquire({ ...client, requested: first.address, probeMs: 0 });
  assert.equal(again.address, first.address);
  await until('the server says so', () => log('DHCPACK') === 2);
  assert.equal(log('DHCPDISCOVER'), 1);
  // an address of another network: refused at once, then discovered
  const moved = await dhcpAcquire({ ...client, requested: '10.9.8.7', probeMs: 0 });
  await until('the server says so', () => server.log().includes('DHCPNAK(eth0) 10.9.8.7'));
  assert.equal(moved.address, first.address);
});

test('a server that forgot us and says so ends the lease: EDHCP, refused', async () => {
  await using lan = await makeLan();
  const client = box(lan);
  let lease: DhcpLease;
  {
    await using _server = await lan.dnsmasq(RANGE);
    lease = await dhcpAcquire({ ...client, probeMs: 0 });
  }
  await useAddress(lan.container, lease.address);
  writeFileSync(join(lan.dir, 'leases'), '');
  await using _server = await lan.dnsmasq(
    '--dhcp-range=192.168.77.200,192.168.77.220,255.255.255.0,2m',
    '--dhcp-authoritative',
  );
  await assert.rejects(dhcpRenew(lease, client), (error) => {
    assert.ok(error instanceof DhcpError && error.refused && error.code === 'EDHCP');
    assert.match(error.message, /eth0.*void.*192\.168\.77\.1 refused/);
    assert.notEqual(error.hint, '');
    return true;
  });
});

test('no server: EDHCP within the deadline, with the interface, the silence and the cure', async () => {
  await using lan = await makeLan();
  const began = performance.now();
  await assert.rejects(dhcpAcquire({ ...box(lan), timeoutMs: 600 }), (error) => {
    assert.ok(error instanceof DhcpError && !error.refused);
    assert.equal(error.code, 'EDHCP');
    assert.deepEqual(error.heard, []);
    assert.match(
      error.message,
      /^eth0 in .*: no DHCP server gave a lease within 0\.6 s \(1 message sent, nothing was heard\)$/,
    );
    assert.match(error.hint, /parent interface/);
    return true;
  });
  const took = performance.now() - began;
  assert.ok(took >= 590 && took < 2500, `${took} ms`);
});

test('an interface that is down or missing, and a caller that changes its mind', async () => {
  await using lan = await makeLan();
  const client = box(lan);
  const abort = new AbortController();
  const waiting = dhcpAcquire({ ...client, signal: abort.signal });
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  const pulled = assert.rejects(dhcpAcquire(client), { code: 'EDHCP', message: /eth0 in .*: the interface is down/ });
  await okIn(lan.container, ['ip', 'link', 'set', 'eth0', 'down']);
  await pulled;
  await assert.rejects(dhcpAcquire(client), { code: 'EDHCP', message: /the interface is down/ });
  await assert.rejects(dhcpAcquire({ ...client, ifname: 'eth7' }), { code: 'ENODEV', message: /eth7/ });
});

test('an address that somebody uses already is declined, and another one taken', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq('--dhcp-range=192.168.77.50,192.168.77.51,255.255.255.0,2m');
  const client = box(lan);
  const first = await dhcpAcquire(client);
  await dhcpRelease(first, client);
  await until('released', () => server.leases().length === 0);
  await okIn(lan.host, ['ip', 'link', 'add', 'squatter', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge']);
  await ipBatch(lan.host, ['link set squatter up', `addr add ${first.address} dev squatter`]);
  const second = await dhcpAcquire({ ...client, timeoutMs: 10_000 });
  assert.notEqual(second.address, first.address);
  const logged = `DHCPDECLINE(eth0) ${withoutLength(first.address)} ${lan.mac}`;
  await until('the server says so', () => server.log().includes(logged));
});

test('a client that is not the interface itself: answered by broadcast, and its lease renewed so', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq(RANGE, '--dhcp-authoritative');
  const virtual = { ...box(lan, 'vm-1'), mac: '02:00:00:00:77:99' };
  const lease = await dhcpAcquire({ ...virtual, probeMs: 0 });
  const own = await dhcpAcquire({ ...box(lan), probeMs: 0 });
  assert.notEqual(own.address, lease.address);
  const renewed = await dhcpRenew(lease, virtual);
  assert.equal(renewed.address, lease.address);
  assert.ok(renewed.expiresAt > lease.expiresAt);
  assert.equal(server.leases().length, 2);
});

test('forty clients at once on one interface: forty addresses, none twice', async () => {
  await using lan = await makeLan();
  await using server = await lan.dnsmasq(RANGE, '--dhcp-authoritative');
  const clients = Array.from({ length: 40 }, (_, i) => ({
    ...box(lan, `vm-${i}`),
    mac: `02:00:00:01:00:${i.toString(16).padStart(2, '0')}`,
    timeoutMs: 20_000,
    probeMs: 0,
  }));
  const leases = await Promise.all(clients.map((client) => dhcpAcquire(client)));
  assert.equal(new Set(leases.map((lease) => lease.address)).size, 40);
  const renewed = await Promise.all(clients.map((client, i) => dhcpRenew(leases[i]!, client)));
  assert.deepEqual(
    renewed.map((lease) => lease.address),
    leases.map((lease) => lease.address),
  );
  await Promise.all(clients.map((client, i) => dhcpRelease(leases[i]!, client)));
  await until('the server forgot them all', () => server.leases().length === 0);
});

test('a neighbour that answers with rubbish, and offers what nobody can use, is no hindrance and is named', async () => {
  await using lan = await makeLan();
  using rogue = PacketSocket.open(lan.router, 'eth0', { protocol: ETH_P_IP, filter: udp4Filter(PORT.SERVER) });
  let answered = 0;
  rogue.listen({
    frames: (frames) => {
      for (const frame of frames) {
        const request = readUdp4(frame);
        if (!request) continue;
        const offer = encodeMessage({
          ...decodeMessage(request.payload),
          ...{ op: 2, yiaddr: '0.0.0.0' },
          options: new Map([
            [OPTION.MESSAGE_TYPE, Uint8Array.of(TYPE.OFFER)],
            [OPTION.SERVER_ID, Uint8Array.of(6, 6, 6, 6)],
          ]),
        });
        const address = {
          srcMac: '02:00:00:00:66:66',
          dstMac: lan.mac,
          src: '6.6.6.6',
          dst: '255.255.255.255',
          sport: 67,
          dport: 68,
        };
        for (let cut = 0; cut <= offer.length; cut += 7)
          rogue.send(udp4Frame({ ...address, payload: offer.subarray(0, cut) }));
        rogue.send(udp4Frame({ ...address, payload: offer }));
        answered++;
      }
    },
    ended: () => undefined,
  });
  await assert.rejects(dhcpAcquire({ ...box(lan), timeoutMs: 1500 }), (error) => {
    assert.ok(error instanceof DhcpError);
    assert.deepEqual(error.heard, ['6.6.6.6 sent an OFFER of no use: the address 0.0.0.0, which no host can have']);
    assert.match(error.message, /heard: 6\.6\.6\.6 sent an OFFER of no use/);
    return true;
  });
  assert.ok(answered > 0);
  await using _server = await lan.dnsmasq(RANGE);
  assert.match((await dhcpAcquire({ ...box(lan), probeMs: 0 })).address, /^192\.168\.77\./);
});

/** A second real server, whose leases may be as short as a test wants. */
async function udhcpd(lan: Lan, seconds: number): Promise<AsyncDisposable> {
  const config = join(lan.dir, 'udhcpd.conf');
  const file = join(lan.dir, 'udhcpd.leases');
  const lines = ['start 192.168.77.150', 'end 192.168.77.160', 'interface eth0', `lease_file ${file}`, 'min_lease 1'];
  lines.push(
    `pidfile ${join(lan.dir, 'udhcpd.pid')}`,
    'opt subnet 255.255.255.0',
    `opt lease ${seconds}`,
    'opt router 192.168.77.1',
  );
  writeFileSync(config, lines.join('\n') + '\n');
  writeFileSync(file, '');
  const server = startIn(lan.router, ['busybox', 'udhcpd', '-f', config]);
  await until('udhcpd runs', () => {
    assert.equal(server.child.exitCode, null, server.output());
    return /started/.test(server.output());
  });
  return server;
}

test('pain 28 (libnetwork#843): the keeper renews in time, tells of a loss, and gets another lease when a server is back', async () => {
  await using lan = await makeLan();
  using keeper = new DhcpKeeper();
  const seen: (DhcpLease | undefined)[] = [];
  const troubles: unknown[] = [];
  keeper.onChange((key, lease) => {
    assert.equal(key, 'endpoint-1');
    seen.push(lease);
  });
  keeper.onTrouble((_, error) => troubles.push(error));
  const client = { ...box(lan), netns: () => Netns.open(`/proc/${process.pid}/fd/${lan.container.fd}`), probeMs: 0 };
  {
    await using _server = await udhcpd(lan, 4);
    const lease = await dhcpAcquire({ ...client, netns: lan.container });
    assert.equal(lease.expiresAt - lease.obtained, 4000);
    await useAddress(lan.container, lease.address);
    // as a record that came out of a store
    keeper.add('endpoint-1', JSON.parse(JSON.stringify(lease)) as DhcpLease, client);
    await until('two renewals', () => seen.length >= 2, { timeout: 10_000 });
    assert.deepEqual(
      seen.map((l) => l?.address),
      seen.map(() => lease.address),
    );
    assert.ok(seen[1]!.expiresAt > seen[0]!.expiresAt);
    assert.equal(troubles.length, 0);
  }
  const held = seen.length;
  await until('the loss', () => seen.length > held, { timeout: 10_000 });
  assert.equal(seen[held], undefined);
  assert.ok(troubles.length >= 2, 'T1 and T2 were tried');
  assert.ok(troubles.every((error) => error instanceof DhcpError));
  await using _server = await udhcpd(lan, 60);
  const back = await until('another lease', () => seen[held + 1], { timeout: 20_000 });
  assert.equal(keeper.get('endpoint-1'), back);
});
