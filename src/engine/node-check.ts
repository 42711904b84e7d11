import { parsePrefix, tryParseIp } from '../addr/index.ts';
import { type AliveRecord, type NodeRecord, SHARED, type SharedNetwork } from '../cluster/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { isOurGroup } from '../facts/index.ts';
import { blockerOf, type JoinFinding, type Network } from '../model/index.ts';
import { judge, measure, Responder, type Target } from '../probe/index.ts';
import { ipMessages, type Link, parseRoute, routeGet } from '../rtnetlink/index.ts';
import { boundSockets } from '../sockdiag/index.ts';
import type { SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import { viewHost } from './host.ts';
import { collides } from './host-sockets.ts';
import type { Kernel } from './kernel.ts';
import { KEYS } from './records.ts';
import type { Underlay } from './underlay.ts';

/** Nodes that are asked at once: of a big cluster those that follow us by name, so that each is asked by as many. */
const ASKED = 16;

/** What a host is checked against. */
export interface Surroundings {
  /** Of this host. */
  readonly name: string;
  readonly underlay: Pick<Underlay, 'addresses' | 'dev' | 'mtu'>;
  /** Other nodes that are to answer. */
  readonly others: readonly NodeRecord[];
  readonly networks: readonly SharedNetwork[];
}

/** What the cluster's records say of others, for one that is not among them yet. */
export async function surroundingsOf(
  store: SharedStore,
  { name, underlay }: Pick<Surroundings, 'name' | 'underlay'>,
): Promise<Surroundings> {
  return await store.read(async (tx) => {
    const nodes = await tx.list<NodeRecord>(SHARED.nodes);
    const alive = new Map((await tx.list<AliveRecord>(SHARED.alive)).map(({ key, value }) => [key, value.id]));
    const networks = await tx.list<SharedNetwork>(SHARED.networks);
    return {
      ...{ name, underlay, networks: networks.map(({ value }) => value) },
      others: nodes.flatMap(({ value }) =>
        value.name !== name && alive.get(SHARED.alive + value.name) === value.id ? [value] : [],
      ),
    };
  });
}

/**
 * Looks at all that shared networks need of this host and of the way to the others; changes nothing. A second or two, a few
 * where packets get lost.
 */
export async function checkNode(core: Core, surroundings: Surroundings): Promise<readonly JoinFinding[]> {
  const { underlay, others, networks } = surroundings;
  const targets = targetsOf(surroundings);
  const now = (): number => core.now().getTime();
  const measured = await measure(core.kernel.host, targets, { now });
  return [
    ...judge(measured),
    ...strangers(others, underlay),
    ...interfaces(others, underlay),
    ...(await routes(core.kernel, targets, underlay)),
    ...(await ownGround(core, networks, underlay)),
  ];
}

/** The least that stops a join. @throws NetloomError ENODEUNFIT */
export function refuseUnfit(findings: readonly JoinFinding[]): void {
  const stops = findings.filter(({ severity }) => severity === 'stop');
  if (stops.length === 0) return;
  throw new NetloomError('ENODEUNFIT', stops.map(({ text }) => text).join('; '), {
    hint: 'nothing was changed; --force joins all the same',
  });
}

/** Answers other nodes' questions about the way to this one; a port that is taken is told, and is no reason to be away. */
export function answerProbes(core: Core, { name, id, addresses }: NodeRecord): Disposable {
  try {
    return new Responder(core.kernel.host, { addresses, id, now: () => core.now().getTime() });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const attributes = { reason, cure: 'other nodes cannot test the way to this one: free the port, and start again' };
    core.events.publish({ type: 'cluster', action: 'fault', name: `self-test of ${name}`, attributes });
    return { [Symbol.dispose]: () => undefined };
  }
}

function targetsOf({ name, underlay, others }: Surroundings): readonly Target[] {
  const sorted = others.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const after = sorted.filter((other) => other.name > name);
  const asked = [...after, ...sorted.slice(0, sorted.length - after.length)].slice(0, ASKED);
  return asked.flatMap((other) =>
    pairs(underlay.addresses, other.addresses).map(([local, remote]): Target => ({
      node: other.name,
      id: other.id,
      local,
      remote,
      mtu: Math.min(underlay.mtu, other.mtu),
    })),
  );
}

/** Addresses of one family. */
function pairs(ours: readonly string[], theirs: readonly string[]): (readonly [string, string])[] {
  const family = (text: string): number | undefined => tryParseIp(text)?.family;
  return ours.flatMap((local) => {
    const remote = theirs.find((text) => family(text) === family(local));
    return remote === undefined ? [] : [[local, remote] as const];
  });
}

function strangers(others: readonly NodeRecord[], { addresses }: Surroundings['underlay']): JoinFinding[] {
  return others.flatMap((other) => {
    if (pairs(addresses, other.addresses).length > 0) return [];
    const text = `${other.name} (${other.addresses.join(', ')}) has no address of a family that ours (${addresses.join(', ')}) is of: give one by --address`;
    return [{ check: 'reachable', severity: 'warn', text }];
  });
}

/** Networks are as big as each host's own interface lets them be. */
function interfaces(others: readonly NodeRecord[], { dev, mtu }: Surroundings['underlay']): JoinFinding[] {
  return others.flatMap((other) => {
    if (other.mtu === mtu) return [];
    const text = `${dev} has an MTU of ${mtu} bytes, ${other.dev} of ${other.name} one of ${other.mtu}: give both the same, or make networks with -o mtu= for the smaller`;
    return [{ check: 'mtu', severity: 'warn', text }];
  });
}

/** Whether the kernel answers others by the interface and from the address that they send to. */
async function routes(
  kernel: Kernel,
  targets: readonly Target[],
  { dev }: Surroundings['underlay'],
): Promise<JoinFinding[]> {
  using scope = kernel.scope();
  const conn = scope.rtnl('');
  const { links } = await viewHost(kernel.host, conn);
  const found: JoinFinding[] = [];
  for (const { node, local, remote } of targets) {
    try {
      const [message] = ipMessages(await conn.execute(routeGet(remote)));
      if (!message) continue;
      const { oif, prefsrc } = parseRoute(message);
      const by = links.find(({ index }) => index === oif)?.name ?? '';
      if (by === dev && prefsrc === local) continue;
      const text = `packets to ${node} (${remote}) leave by ${by} from ${prefsrc}, while it sends its own to ${local} on ${dev}: the two ways differ, and firewalls and rp_filter drop such: mend the routes, or join with --address ${prefsrc}`;
      found.push({ check: 'route', severity: 'warn', text });
    } catch (error) {
      if (!hasCode(error, 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL')) throw error;
      const text = `this host has no route to ${node} (${remote})`;
      found.push({ check: 'route', severity: 'warn', text });
    }
  }
  return found;
}

/** What is on this host in the way of networks that it does not have yet. */
async function ownGround(
  core: Core,
  networks: readonly SharedNetwork[],
  { addresses }: Surroundings['underlay'],
): Promise<JoinFinding[]> {
  using scope = core.kernel.scope();
  const { used, links } = await viewHost(core.kernel.host, scope.rtnl(''));
  const here = await core.store.read(async (tx) => (await tx.list<Network>(KEYS.networks)).map(({ value }) => value));
  const found: JoinFinding[] = [];
  const cannot = (check: string, { name }: SharedNetwork, why: string): void => {
    found.push({ check, severity: 'warn', text: `this host cannot take network ${name}: ${why}` });
  };
  for (const network of networks) {
    const own = here.find(({ id, phase }) => id === network.id && phase === 'ready');
    for (const { subnet } of network.ranges) {
      const blocker = blockerOf(parsePrefix(subnet), used);
      if (blocker) cannot('subnet', network, `its range ${subnet} overlaps ${blocker.label}`);
    }
    const local = here.find(({ name, id }) => name === network.name && id !== network.id);
    if (local) cannot('subnet', network, `a network of this host alone has that name`);
    for (const { name, subnets, id } of here) {
      if (id === network.id) continue;
      const clash = network.ranges.find(({ subnet }) =>
        blockerOf(
          parsePrefix(subnet),
          subnets.map((each) => ({ kind: 'network', label: name, prefix: parsePrefix(each.subnet) })),
        ),
      );
      if (clash) cannot('subnet', network, `its range ${clash.subnet} overlaps network ${name} of this host`);
    }
    if (own || network.port === 0) continue;
    const taken = await portTaken(core, network, links, addresses);
    if (taken !== '') cannot('port', network, taken);
  }
  if (found.length === 0 && networks.length > 0) {
    found.push({ check: 'subnet', severity: 'ok', text: 'ranges and ports of the networks are free here' });
  }
  return found;
}

/** Who has the UDP port of a network's tunnel; empty: nobody. The kernel shares one among VXLANs of several identifiers. */
async function portTaken(
  core: Core,
  { backend, vni, port }: SharedNetwork,
  links: readonly Link[],
  addresses: readonly string[],
): Promise<string> {
  let shared = false;
  for (const { name, info, group } of links) {
    if (info?.kind !== 'vxlan' || (info.port ?? 0) !== port) continue;
    shared ||= backend === 'vxlan';
    if (isOurGroup(group)) continue;
    if (backend !== 'vxlan') return `${name}, a VXLAN, has its UDP port ${port}`;
    if (info.id === vni)
      return `${name}, a VXLAN that is not netloom's, has its identifier ${vni} and UDP port ${port}`;
  }
  if (shared) return '';
  try {
    const sockets = (await boundSockets(core.kernel.host, 'udp')).filter((socket) => socket.port === port);
    if (!sockets.some((socket) => addresses.some((address) => collides(address, socket)))) return '';
    return `another program has its UDP port ${port}: ss -lunp 'sport = ${port}' shows whose`;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT')) return '';
    throw error;
  }
}
