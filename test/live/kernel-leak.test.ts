import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bindUdpIn,
  bootId,
  FileLock,
  isAlive,
  listenIn,
  Netns,
  openDescriptors,
  POLL,
  Poll,
  probePort,
  readSysctl,
  relaySocketIn,
  RelayThreads,
  signalPid,
  startTime,
  tcpSocketIn,
  tunCreate,
  waitPid,
  writeSysctl,
} from '../../src/kernel/index.ts';
import { NETLINK, NetlinkConn, NetlinkMonitor, type Request } from '../../src/netlink/index.ts';

const lo: Request = {
  type: 18,
  flags: 0,
  label: 'RTM_GETLINK',
  body: (w) => void w.rawU32(0).rawI32(1).rawU32(0).rawU32(0),
};
const wrong: Request = {
  type: 18,
  flags: 0,
  label: 'RTM_GETLINK',
  body: (w) => void w.rawU32(0).rawI32(99).rawU32(0).rawU32(0),
};
const tried = (call: () => unknown): void => {
  try {
    (call() as Disposable | undefined)?.[Symbol.dispose]?.();
  } catch {
    // a call that fails must not leak either
  }
};

async function everything(dir: string): Promise<void> {
  const pin = join(dir, 'netns');
  using netns = Netns.create();
  netns.pin(pin);
  tried(() => netns.pin(pin));
  Netns.open(pin).close();
  tried(() => Netns.open(dir));
  tried(() => Netns.open(join(dir, 'none')));
  Netns.ofPid(process.pid).close();
  Netns.current().close();
  Netns.unpin(pin);

  writeSysctl(netns, 'net.ipv4.ip_forward', readSysctl(netns, 'net.ipv4.ip_forward'));
  tried(() => readSysctl(netns, 'net.none'));
  tried(() => tunCreate(netns, 'tap%d', { mode: 'tap' }));
  tried(() => tunCreate(netns, 'lo', { mode: 'tap' }));
  {
    using device = tunCreate(netns, 'tun%d', { mode: 'tun' });
    using v4 = relaySocketIn(netns, { address: '127.0.0.1', port: 99 });
    using relay = RelayThreads.start(netns, device, { v4 });
    const none = new BigUint64Array(0);
    tried(() => relay.table({ intervals4: none, intervals6: none, peers: new Uint8Array(27) }));
    tried(() => relaySocketIn(netns, { address: '127.0.0.1', port: 99 }));
  }

  for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
    probePort(netns, { protocol, address: '0.0.0.0', port: 99 });
    tried(() => probePort(netns, { protocol, address: '192.0.2.1', port: 99 }));
  }
  using listener = listenIn(netns, { address: '::', port: 99 });
  tried(() => listenIn(netns, { address: '::', port: 99 }));
  probePort(netns, { protocol: 'tcp', address: '::', port: 99 });
  tcpSocketIn(netns, 4).close();
  using udp = bindUdpIn(netns, { address: '0.0.0.0', port: 99 });
  using _poll = Poll.start(udp, POLL.READABLE, () => undefined);
  using _other = Poll.start(listener, POLL.READABLE, () => undefined);

  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  tried(() => NetlinkConn.open(31, netns));
  conn.executeSync(lo);
  await Promise.all([conn.execute(lo), conn.execute(lo, { lane: 'here' }), conn.execute(wrong).catch(() => undefined)]);
  const late = conn.execute(lo);
  conn.close();
  await late;
  await conn.execute(lo).catch(() => undefined);

  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [1]);
  tried(() => NetlinkMonitor.open(NETLINK.ROUTE, netns, [9999]));
  const next = monitor.next();
  monitor.close();
  await next;

  const path = join(dir, 'lock');
  {
    using _lock = FileLock.tryAcquire(path);
    FileLock.tryAcquire(path);
    FileLock.isHeld(path);
    await FileLock.acquire(path, { signal: AbortSignal.timeout(5) }).catch(() => undefined);
    tried(() => FileLock.tryAcquire(join(dir, 'none', 'lock')));
  }
  (await FileLock.acquire(path)).release();

  bootId();
  await waitPid(process.pid, { signal: AbortSignal.timeout(5) }).catch(() => undefined);
  await waitPid(2 ** 22 + 1);
  const since = startTime(process.pid)!;
  isAlive(process.pid, since);
  signalPid(process.pid, since, 0);
  signalPid(process.pid, since + 1, 0);
}

const numbers = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return []; // the descriptor that read the folder
    }
  });

test('after everything, and after everything that fails, no descriptor is left', { timeout: 60_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'netloom-leak-'));
  try {
    await everything(dir); // once for what stays for good: threads, the event loop's own
    await new Promise(setImmediate);
    const before = numbers();
    for (let i = 0; i < 20; i++) await everything(dir);
    // duplicates of the addon close in the turn after
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.deepEqual(numbers(), before);
    assert.deepEqual(openDescriptors(), []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('no descriptor is inherited by a command', () => {
  using netns = Netns.create();
  using _conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  using _monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [1]);
  using udp = bindUdpIn(netns, { address: '0.0.0.0', port: 0 });
  using _poll = Poll.start(udp, POLL.READABLE, () => undefined);
  const { stdout } = spawnSync('sh', ['-c', 'echo /proc/self/fd/*'], { encoding: 'utf8' });
  const foreign = stdout
    .trim()
    .split(/\s+/)
    .map((path) => Number(path.split('/').at(-1)))
    .filter((fd) => fd > 2);
  const ours = new Set(openDescriptors().map((line) => Number(line.split(':')[0])));
  assert.deepEqual(
    foreign.filter((fd) => ours.has(fd)),
    [],
  );
});
