import { Netns } from '../../src/kernel/index.ts';
import { keepPeer } from './peer.ts';
import { ipBatch, okIn } from './run.ts';
import { until } from './wait.ts';

/** Documentation prefixes (RFC 5737, RFC 3849), so that no test's address can be a real one. */
export const ADDRESS = {
  /** The host's uplink `eth0`. */
  host: '192.0.2.1',
  host6: '2001:db8::1',
  /** The router beyond it, which is also the host's default gateway. */
  outside: '192.0.2.2',
  outside6: '2001:db8::2',
  /** Somebody else on the host's own segment. */
  neighbour: '192.0.2.3',
  neighbour6: '2001:db8::3',
  /** An address of the outside that lies beyond the segment: "the internet". */
  internet: '198.51.100.1',
  internet6: '2001:db8:ffff::1',
} as const;

export interface HostOptions {
  /** A third machine on the host's segment, and a bridge between the three. */
  readonly neighbour?: boolean;
  /** MTU of the uplink, bytes; default 1500. */
  readonly mtu?: number;
}

/** A machine of a test's own with an outside beside it; nothing of it is seen by the machine that runs the test. */
export interface TestHost extends AsyncDisposable {
  /** lo, and `eth0` with 192.0.2.1/24 and 2001:db8::1/64 and default routes through the outside. */
  readonly netns: Netns;
  /**
   * `eth0` with 192.0.2.2/24 and 2001:db8::2/64, and the internet's address on lo. It knows no way back but the
   * segment: what the host forwards without masquerade is never answered.
   */
  readonly outside: Netns;
  /** `eth0` with 192.0.2.3/24 and 2001:db8::3/64; only with `neighbour: true`. */
  readonly neighbour: Netns;
}

/**
 * Made with `ip`, not with netloom's own rtnetlink: the world around the code under test must not depend on it.
 * Addresses skip duplicate detection, so that they work at once.
 */
export async function makeHost({ neighbour = false, mtu = 1500 }: HostOptions = {}): Promise<TestHost> {
  await using undo = new AsyncDisposableStack();
  const machine = (): Netns => {
    const netns = undo.use(Netns.create());
    undo.use(keepPeer(netns));
    return netns;
  };
  const host = machine();
  const outside = machine();
  if (neighbour) {
    const segment = undo.use(Netns.create()); // a switch, not a machine
    const third = machine();
    const ports = [host, outside, third].map((netns, i) => veth(`port${i}`, mtu, netns));
    await ipBatch(segment, [
      `link add segment mtu ${mtu} up type bridge mcast_snooping 0`,
      ...ports.flatMap((port, i) => [port, `link set port${i} master segment up`]),
    ]);
    await ipBatch(third, machineLines(ADDRESS.neighbour, ADDRESS.neighbour6));
    await Promise.all([uplink(host), internet(outside)]);
    const kept = undo.move();
    return { netns: host, outside, neighbour: third, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
  await ipBatch(host, [veth('eth0', mtu, outside)]);
  await Promise.all([internet(outside), ipBatch(host, ['link set eth0 up'])]);
  await uplink(host);
  const kept = undo.move();
  return {
    netns: host,
    outside,
    get neighbour(): Netns {
      throw new Error('makeHost({ neighbour: true }) makes one');
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** `name` here, `eth0` in the namespace `peer`. */
function veth(name: string, mtu: number, peer: Netns): string {
  const end = `name eth0 mtu ${mtu} netns /proc/${process.pid}/fd/${peer.fd}`;
  return `link add ${name} mtu ${mtu} type veth peer ${end}`;
}

function machineLines(address: string, address6: string): string[] {
  return [
    'link set lo up',
    'link set eth0 up',
    `addr add ${address}/24 dev eth0`,
    `addr add ${address6}/64 dev eth0 nodad`,
  ];
}

async function uplink(netns: Netns): Promise<void> {
  await ipBatch(netns, [
    ...machineLines(ADDRESS.host, ADDRESS.host6),
    `route add default via ${ADDRESS.outside} dev eth0`,
    `route add ::/0 via ${ADDRESS.outside6} dev eth0`,
  ]);
  // the kernel makes an IPv6 address's own route behind the answer, and whoever compares has it before or after
  const own = new RegExp(`^local ${ADDRESS.host6} `, 'm');
  await until('its IPv6 address is a way', async () =>
    own.test(await okIn(netns, ['ip', '-6', 'route', 'show', 'table', 'local'])),
  );
}

function internet(netns: Netns): Promise<void> {
  return ipBatch(netns, [
    ...machineLines(ADDRESS.outside, ADDRESS.outside6),
    `addr add ${ADDRESS.internet}/32 dev lo`,
    `addr add ${ADDRESS.internet6}/128 dev lo nodad`,
  ]);
}
