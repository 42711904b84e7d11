import type { JoinFinding } from '../model/index.ts';
import { headersOf, MOST, PROBE_PORT } from './message.ts';
import type { Measured } from './prober.ts';

/** How far clocks may differ, milliseconds. */
const CLOCK = 1000;
/** Names that one line tells. */
const NAMED = 4;

/** What measurements of the ways to other nodes mean, for people: warnings first, then what is well, in one line each. */
export function judge(measured: readonly Measured[]): readonly JoinFinding[] {
  return [
    ...reachable(measured),
    ...checksums(measured),
    ...seen(measured),
    ...clocks(measured),
    ...pathMtus(measured),
  ];
}

function reachable(measured: readonly Measured[]): JoinFinding[] {
  const check = 'reachable';
  const nodes = Map.groupBy(measured, ({ target }) => target.node);
  if (nodes.size === 0) return [{ check, severity: 'ok', text: 'no other node is heard of' }];
  const silent = measured.filter(({ heard }) => !heard);
  // an ICMP message that the port is nobody's has come all the way
  const reached = [...nodes.values()].some((ways) => ways.some(({ heard, told }) => heard || told.includes(REFUSED)));
  if (!reached) {
    const text = `${nodes.size === 1 ? 'the one other node that is heard of does' : `${nodes.size} nodes are heard of, and all do`} not answer at UDP port ${PROBE_PORT}: ${listed(silent.map(nameOf))}: let UDP through between the hosts, or join by another --address`;
    return [{ check, severity: 'stop', text }];
  }
  if (silent.length === 0) {
    const text = nodes.size === 1 ? 'the one other node answers' : `all of ${nodes.size} nodes answer`;
    return [{ check, severity: 'ok', text }];
  }
  return silent.map((way) => ({ check, severity: 'warn', text: `${nameOf(way)} ${whySilent(way)}` }));
}

const REFUSED = 'ECONNREFUSED';

function whySilent({ told, target }: Measured): string {
  if (told.includes(REFUSED))
    return `is reached, and nobody answers there at UDP port ${PROBE_PORT}: is its netloom older, or the port another program's?`;
  const why = ['EHOSTUNREACH', 'ENETUNREACH', 'EACCES', 'EPERM', 'EADDRNOTAVAIL'].find((code) => told.includes(code));
  const where = `does not answer at UDP port ${PROBE_PORT} from ${target.local}`;
  if (why === 'EACCES' || why === 'EPERM') return `${where}: a firewall of this host's refuses it`;
  if (why) return `${where}: there is no way (${why})`;
  return `${where}: a firewall drops it there, here or between, or what comes back takes another way`;
}

function checksums(measured: readonly Measured[]): JoinFinding[] {
  return measured.flatMap((way) => {
    if (!way.bare) return [];
    const text = `${nameOf(way)} answers nothing but datagrams without checksum: an interface computes wrong ones, or something on the way breaks them: ethtool -K DEV tx off on the interface towards it, here or there`;
    return [{ check: 'checksum', severity: 'warn', text }];
  });
}

function seen(measured: readonly Measured[]): JoinFinding[] {
  return measured.flatMap(({ heard, target }) => {
    if (!heard || heard.address === target.local) return [];
    const text = `${target.node} sees packets of ${target.local} come from ${heard.address}: an address is translated (NAT) on the way, by which tunnels break: join by an --address that the others see as it is`;
    return [{ check: 'address', severity: 'warn', text }];
  });
}

function clocks(measured: readonly Measured[]): JoinFinding[] {
  const check = 'clock';
  // one answer a node, that which is the surest
  const nodes = [...Map.groupBy(measured, ({ target }) => target.node)].flatMap(([node, ways]) => {
    const [heard] = ways.flatMap((way) => way.heard ?? []).toSorted((a, b) => a.rtt - b.rtt);
    return heard ? [{ node, ahead: heard.ahead, within: heard.rtt / 2 }] : [];
  });
  const [first] = nodes;
  if (!first) return [];
  const off = nodes.filter(({ ahead, within }) => Math.abs(ahead) - within > CLOCK);
  if (off.length === 0) {
    const most = Math.max(...nodes.map(({ ahead, within }) => Math.abs(ahead) + within));
    return [{ check, severity: 'ok', text: `clocks differ by ${duration(most)} at most` }];
  }
  const ours = off.length === nodes.length && new Set(off.map(({ ahead }) => Math.sign(ahead))).size === 1;
  if (ours && nodes.length > 1) {
    const text = `the clock of this host is ${distance(first)} that of all ${nodes.length} nodes: set it by NTP`;
    return [{ check, severity: 'warn', text }];
  }
  return off.map((each) => {
    const text = `the clock of this host is ${distance(each)} that of ${each.node}: set both by NTP`;
    return { check, severity: 'warn', text };
  });
}

function distance({ ahead, within }: { readonly ahead: number; readonly within: number }): string {
  return `${duration(Math.abs(ahead))} (±${duration(within)}) ${ahead > 0 ? 'behind' : 'ahead of'}`;
}

function pathMtus(measured: readonly Measured[]): JoinFinding[] {
  const check = 'mtu';
  const known = measured.filter(({ out }) => out !== undefined);
  if (known.length === 0) return [];
  const small = known.flatMap(({ target, told, out = 0, back = 0 }): JoinFinding[] => {
    const { node, mtu, remote } = target;
    const most = Math.min(out, back);
    if (most >= Math.min(mtu, MOST + headersOf(remote))) return [];
    const way = out > back ? `packets of ${mtu} bytes from ${node}` : `packets of ${mtu} bytes to ${node}`;
    const silent = out <= back && !told.includes('EMSGSIZE') ? ', and no router says so' : '';
    const text = `${way} (${remote}) do not come through${silent}, ${most} bytes do: mend the path, or make networks with -o mtu=${most - ROOM} or less`;
    return [{ check, severity: 'warn', text }];
  });
  if (small.length > 0) return small;
  const least = Math.min(...known.map(({ out = 0, back = 0 }) => Math.min(out, back)));
  return [{ check, severity: 'ok', text: `packets of ${least} bytes come through, both ways` }];
}
/** Bytes that a tunnel takes: VXLAN over IPv6, and WireGuard's. */
const ROOM = 80;

function nameOf({ target }: Measured): string {
  return `${target.node} (${target.remote})`;
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ');
}

/** `3.2 s`, `14 ms`, `0.4 ms` */
function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}
