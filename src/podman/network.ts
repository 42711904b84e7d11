import { hasCode, NetloomError } from '../errors.ts';
import type { EngineApi, Network, NetworkSpec } from '../model/index.ts';
import type { PodmanNetwork } from './input.ts';

/** Whose network it is: Podman's id of it. A network without this label is none of Podman's, and is left alone. */
export const ID_LABEL = 'io.podman.network.id';
/** What it was made from: Podman's networks come and go, and the next one of the same name may be another. */
export const DEFINITION_LABEL = 'io.podman.network.definition';

/** What of Podman's options a network of ours becomes; every other one is refused. @throws NetloomError EBADOPTION */
export function specOf(network: PodmanNetwork): NetworkSpec {
  const { driver, subnets, internal, options } = network;
  const dropping = network.routes.find(({ kind }) => kind !== 'unicast');
  if (dropping) {
    const what = `routes: one of type ${dropping.kind} (to ${dropping.destination}) is not made`;
    throw refused(network, what, 'leave it out');
  }
  const has = (v6: boolean): boolean => subnets.some(({ subnet }) => subnet.includes(':') === v6);
  const dhcp = network.ipam === 'dhcp';
  if (network.ipam !== 'host-local' && network.ipam !== '' && !(dhcp && lowerDriver(network) !== 'bridge')) {
    throw refused(
      network,
      `ipam_options.driver: "${network.ipam}" is not served on ${driver} networks`,
      'use host-local (--ipam-driver host-local), or macvlan for dhcp',
    );
  }
  if (!dhcp && subnets.length === 0)
    throw refused(network, 'subnets: there is none', 'create the network with --subnet');
  const spec = {
    name: network.name,
    driver: lowerDriver(network),
    internal,
    ...(dhcp
      ? { ipam: 'dhcp' }
      : {
          ipv4: has(false),
          ipv6: has(true),
          subnets: subnets.map(({ subnet, gateway }) => ({
            subnet,
            ...(hasGateway(network) && { gateway: gateway ?? 'none' }),
          })),
        }),
    options: driver === PLUGIN_DRIVER ? ownOptions(network, options) : optionsOf(network, options),
  };
  return {
    ...spec,
    upstreams: network.dnsServers,
    labels: {
      [ID_LABEL]: network.id,
      [DEFINITION_LABEL]: JSON.stringify({ ...spec, name: undefined }),
    },
  };
}

/** Podman gives every network a gateway; ipvlan's modes l3 and l3s send everything by the interface itself. */
export function hasGateway(network: PodmanNetwork): boolean {
  return lowerDriver(network) !== 'ipvlan' || !['l3', 'l3s'].includes(network.options['mode'] ?? 'l2');
}

/** The driver's name where netavark stays and calls us as its plugin; the options are our own then. */
export const PLUGIN_DRIVER = 'netloom';

/** What a network is with us: one whose driver we are says so in its options. */
export function lowerDriver({ driver, options }: PodmanNetwork): string {
  return driver === PLUGIN_DRIVER ? (options['driver'] ?? 'bridge') : driver;
}

function ownOptions(
  network: PodmanNetwork,
  { driver: _driver, ...options }: PodmanNetwork['options'],
): Record<string, string> {
  const name =
    network.interface === '' ? {} : { [lowerDriver(network) === 'bridge' ? 'name' : 'parent']: network.interface };
  return { ...name, ...options };
}

/** What is read of a network's options by whoever attaches to it, and is nothing of the network's own. */
const ATTACHERS = new Set(['metric', 'no_default_route']);

function optionsOf(network: PodmanNetwork, options: PodmanNetwork['options']): Record<string, string> {
  const { driver } = network;
  const own: Record<string, string> = {};
  if (driver === 'bridge') {
    if (network.interface === '') throw refused(network, 'network_interface: the bridge has no name');
    own['name'] = network.interface;
  } else if (driver === 'macvlan' || driver === 'ipvlan') {
    if (network.interface === '')
      throw refused(network, 'network_interface: the interface below it is not said', 'create it with -o parent=eth0');
    own['parent'] = network.interface;
  } else throw refused(network, `driver: there is no "${driver}"`, 'it is bridge, macvlan or ipvlan');
  for (const [key, value] of Object.entries(options)) {
    if (ATTACHERS.has(key)) continue;
    if (key === 'mtu' || (key === 'mode' && driver !== 'bridge')) own[key] = value;
    else if (key === 'mode' && (value === 'managed' || value === '')) continue;
    // no network of ours reaches another, whatever it says
    else if (key === 'isolate' && ['true', 'false', 'strict', '1', '0'].includes(value)) continue;
    else {
      const why = Object.hasOwn(UNSERVED, key) ? UNSERVED[key]! : 'is not known';
      throw refused(network, `options.${key}: ${value === '' ? '' : `"${value}" `}${why}`, `create it without ${key}`);
    }
  }
  return own;
}

/** What netavark does and we do not. */
const UNSERVED: Readonly<Record<string, string>> = {
  mode: 'is not served: netloom makes and keeps its bridges itself',
  isolate: 'is none of true, false and strict',
  vlan: 'is not served: bridges of netloom have no VLANs',
  vrf: 'is not served: netloom has no VRFs',
  bclim: 'is not served',
  outbound_addr4: 'is not served: what goes out takes the address of the interface that it leaves by',
  outbound_addr6: 'is not served: what goes out takes the address of the interface that it leaves by',
};

function refused({ name }: PodmanNetwork, what: string, hint?: string): NetloomError {
  return new NetloomError('EBADOPTION', `network_info.${name}.${what}`, hint === undefined ? {} : { hint });
}

/**
 * Sees to it that there is a network as Podman has it, made when the first container comes. One that Podman has replaced by
 * another of the same name is removed first.
 * @throws NetloomError ENAMETAKEN where that name is somebody else's
 */
export async function ensureNetwork(api: EngineApi, spec: NetworkSpec): Promise<void> {
  const there = (await api.networkList()).find(({ name }) => name === spec.name);
  if (there && there.phase === 'ready' && there.labels[ID_LABEL] !== undefined) {
    const { [ID_LABEL]: id, [DEFINITION_LABEL]: definition } = spec.labels ?? {};
    if (there.labels[ID_LABEL] === id && there.labels[DEFINITION_LABEL] === definition) return;
    await replace(api, there);
  } else if (there && there.phase === 'ready') {
    throw new NetloomError('ENAMETAKEN', `network "${spec.name}" is netloom's own, not Podman's`, {
      hint: 'call one of the two otherwise: netloom network rm, or podman network rm',
    });
  }
  await api.networkCreate(spec).catch((refusal: unknown) => {
    // many first containers at a time: one of them makes it
    if (!hasCode(refusal, 'ENAMETAKEN')) throw refusal;
  });
}

async function replace(api: EngineApi, stale: Network): Promise<void> {
  try {
    await api.networkRemove(stale.id);
  } catch (error) {
    if (hasCode(error, 'ENETWORKNOTFOUND')) return;
    if (!hasCode(error, 'ENETWORKINUSE')) throw error;
    // those that use it may be long dead: Podman has forgotten their network
    await api.gc();
    await api.networkRemove(stale.id).catch((still: unknown) => {
      if (!hasCode(still, 'ENETWORKINUSE')) throw still;
      throw new NetloomError(
        'ENETWORKINUSE',
        `network "${stale.name}" was defined anew, and containers still use it as it was`,
        { cause: still, hint: 'stop them, or see netloom network inspect' },
      );
    });
  }
}

/**
 * With its last container goes a network that was made for Podman, which has the definition.
 * @param refs names or ids of networks that may be unused by now
 */
export async function dropUnused(api: EngineApi, refs: ReadonlySet<string>): Promise<void> {
  if (refs.size === 0) return;
  for (const { id, name, labels } of await api.networkList()) {
    if ((!refs.has(id) && !refs.has(name)) || labels[ID_LABEL] === undefined) continue;
    try {
      await api.networkRemove(id);
    } catch (error) {
      // somebody else's last container, or its next first one
      if (!hasCode(error, 'ENETWORKINUSE', 'ENETWORKNOTFOUND', 'ENETWORKBUSY')) throw error;
    }
  }
}
