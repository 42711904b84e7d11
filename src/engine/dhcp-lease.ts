import { contains, parseIp, parsePrefix, withoutLength } from '../addr/index.ts';
import type { DhcpLease, DhcpRoute } from '../dhcp/index.ts';
import { parentOf } from '../drivers/index.ts';
import { type Fact, factKey, kindOf } from '../facts/index.ts';
import type { Endpoint, EndpointLease, Network } from '../model/index.ts';
import type { Tx } from '../store/index.ts';
import type { Change } from './apply.ts';
import { KEYS } from './records.ts';
import { transition } from './transition.ts';

/** `dhcp/<endpoint>`: what was got from a server of the segment, until it was given back. */
export const HELD = 'dhcp/';

/**
 * A lease with all it takes to renew it, and to give it back when the endpoint is no more. Beside the endpoint's record,
 * which says what was got: times change with every renewal, and whoever looks after endpoints need not look at each.
 */
export interface Held {
  /** The host's interface that leads to the segment: what is left to speak by when the endpoint's own is gone. */
  readonly below: string;
  /** Who asked. @see DhcpIdentity */
  readonly mac: string;
  readonly clientId: string;
  readonly hostname?: string;
  readonly broadcast?: true;
  readonly lease: DhcpLease;
}

/** Whether netloom asks a server of the segment for an endpoint's address. A virtual machine asks by itself. */
export function asksServer(network: Pick<Network, 'ipam'>, { type }: Pick<Endpoint, 'type'>): boolean {
  return network.ipam === 'dhcp' && type !== 'tap';
}

/** The host's interface below a network's endpoints. */
export function belowOf(network: Network, endpoint: Pick<Endpoint, 'bridge'>): string {
  const { options } = network;
  if (options.driver === 'bridge') return endpoint.bridge ?? options.bridge;
  return options.driver === 'macvlan' || options.driver === 'ipvlan' ? parentOf(network, options) : '';
}

/**
 * What an endpoint's MAC address and client identifier are made from: a container's are the same at every start, so that
 * servers give it the address that it had.
 */
export function seedOf(network: Pick<Network, 'id'>, container: string, endpoint: string): string {
  if (container === '') return endpoint;
  // loaded here alone: a plugin's process, which seldom gets here, would wait ten milliseconds for it
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(`${container} ${network.id}`).digest('hex');
}

/** What the server knows an endpoint by: its MAC address or, where many share one, a name. @see RFC 2132 section 9.14 */
export function clientIdOf(network: Network, endpoint: Endpoint): string {
  const seed = seedOf(network, endpoint.container, endpoint.id);
  return endpoint.mac === '' ? `netloom-${seed.slice(0, 32)}` : `01:${endpoint.mac}`;
}

/**
 * What of a lease an endpoint lives by, without what its kernel would refuse: routes by gateways that are nowhere, and an
 * MTU that is larger than the interface's. @param mtu bytes, of the interface as the driver made it
 */
export function recordOf(lease: DhcpLease, network: Pick<Network, 'internal'>, mtu: number): EndpointLease {
  const { server, dns, search } = lease;
  const told = { server, dns, search, ...(lease.mtu !== undefined && lease.mtu < mtu && { mtu: lease.mtu }) };
  if (network.internal) return { ...told, routes: [] };
  const own = parsePrefix(lease.address);
  const near = (gateway: string, direct: readonly DhcpRoute[]): boolean =>
    contains(own, parseIp(gateway)) || direct.some(({ dst }) => contains(parsePrefix(dst), parseIp(gateway)));
  const routes = new Map<string, DhcpRoute>();
  const add = (route: DhcpRoute): void => {
    const { text, length } = parsePrefix(route.dst);
    // the way to its own subnet is there with the address
    if (length === 0 || (contains(parsePrefix(route.dst), own.address) && length === own.length)) return;
    if (!routes.has(text)) routes.set(text, { ...route, dst: text });
  };
  for (const route of lease.routes) if (route.gateway === undefined) add(route);
  const direct = [...routes.values()];
  for (const { dst, gateway } of lease.routes)
    if (gateway !== undefined && near(gateway, direct)) add({ dst, gateway });
  const router = lease.router === withoutLength(lease.address) ? undefined : lease.router;
  // some give an address without a subnet: the router is on the link all the same
  const far = router !== undefined && !near(router, direct);
  return {
    ...told,
    ...(router !== undefined && { router }),
    routes: [...(far ? [{ dst: `${router}/32` }] : []), ...routes.values()],
  };
}

/** An endpoint with what a server gave, or with nothing. */
export function withLease(endpoint: Endpoint, address: string | undefined, lease: EndpointLease | undefined): Endpoint {
  const { lease: _before, ...bare } = endpoint;
  return { ...bare, addresses: address === undefined ? [] : [address], ...(lease && { lease }) };
}

/**
 * What turns a workload's facts into others with other addresses. All of what goes goes first: an address that comes
 * while one of its subnet is there would go with that one. With the last address the kernel forgets an interface's
 * routes, so that these are set again.
 */
export function readdress(before: readonly Fact[], after: readonly Fact[]): Change[] {
  const had = new Map(before.map((fact) => [factKey(fact), fact]));
  const wants = new Map(after.map((fact) => [factKey(fact), fact]));
  const differs = (fact: Fact, other: Fact | undefined): boolean =>
    other === undefined || kindOf(fact).differences(fact, other).length > 0;
  const gone = before.filter((fact) => isOfAddresses(fact) && differs(fact, wants.get(factKey(fact))));
  const bare = new Set(gone.flatMap((fact) => (fact.kind === 'address' ? [`${fact.ns} ${fact.dev}`] : [])));
  const comes = after.filter(
    (fact) =>
      isOfAddresses(fact) &&
      (differs(fact, had.get(factKey(fact))) || (fact.kind === 'route' && bare.has(`${fact.ns} ${fact.dev}`))),
  );
  const byKind = (facts: readonly Fact[], kind: Fact['kind']): Fact[] => facts.filter((fact) => fact.kind === kind);
  const others = (facts: readonly Fact[]): Fact[] => facts.filter((fact) => !isOfAddresses(fact));
  const add = (fact: Fact): Change => ({ verb: 'add', fact });
  const remove = (fact: Fact): Change => ({ verb: 'delete', fact });
  return [
    ...[...byKind(gone, 'route').toReversed(), ...byKind(gone, 'address')].map(remove),
    ...transition(others(before), others(after)),
    ...[...byKind(comes, 'address'), ...byKind(comes, 'route')].map(add),
  ];
}

function isOfAddresses(fact: Fact): boolean {
  return fact.kind === 'address' || fact.kind === 'route';
}

/** What a client had at other endpoints that are no more: taken over, and not to be given back. */
export async function takeOver(tx: Tx, clientId: string): Promise<Held | undefined> {
  let found: Held | undefined;
  for (const { key, value } of await tx.list<Held>(HELD)) {
    if (value.clientId !== clientId || (await tx.get(KEYS.endpoints + key.slice(HELD.length))) !== undefined) continue;
    found = value;
    await tx.delete(key);
  }
  return found;
}
