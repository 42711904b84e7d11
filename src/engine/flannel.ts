import { parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { chooseLease, type FlannelRegistry, leaseKey, leaseOf, parseLease, parseLeaseKey } from '../flannel/index.ts';
import { gatewayIn } from '../cluster/index.ts';
import {
  type ChangeOptions,
  type FlannelPlace,
  type Network,
  type NetworkParts,
  type NetworkSpec,
  newId,
  type Outcome,
  type Overlay,
  overlapCheck,
} from '../model/index.ts';
import type { Core } from './core.ts';
import { leaseTextOf, mtuLike, openRegistry, overlayIn } from './flannel-place.ts';
import { viewHost } from './host.ts';
import * as networks from './networks.ts';
import { occupiedBy } from './occupied.ts';
import type { FlannelNetwork } from './overlay.ts';
import { KEYS } from './records.ts';
import { removeSubnetEnv, writeSubnetEnv } from './subnet-env.ts';
import { withTracking } from './tracking.ts';
import { chooseUnderlay } from './underlay.ts';

/** How often another host may be faster with what was chosen, as in flannel. */
const RACES = 10;

/**
 * Makes this host a member of a flannel network: with a lease as flannel takes it, and the host's part of the network upon it.
 * @throws NetloomError ENODAEMON, ENOFLANNEL, EBADFLANNEL, EBADBACKEND, ENODEADDRESS, ERANGEEXHAUSTED, ESUBNETOVERLAP, …
 */
export async function flannelCreate(
  core: Core,
  spec: NetworkSpec,
  parts: NetworkParts,
  place: FlannelPlace,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  const { services } = core;
  if (!services) {
    throw new NetloomError('ENODAEMON', 'a flannel network needs an engine that stays, to renew its lease', {
      hint: 'start the daemon first: netloom daemon',
    });
  }
  using registry = openRegistry(place);
  const { overlay, name, fresh } = await takeLease(core, registry, place, options?.dryRun === true);
  const id = newId(core.random);
  const mtu = mtuLike(overlay);
  const rest = parts.overlay?.rest ?? {};
  const here: NetworkSpec = {
    ...spec,
    options: {
      ...(mtu !== 0 && !Object.keys(rest).some((key) => key.endsWith('mtu')) && { mtu: String(mtu) }),
      ...rest,
    },
    ipv4: true,
    ipv6: overlay.ranges.length > 1,
  };
  const subnets = overlay.self.prefixes.map((subnet) => ({ subnet, gateway: gatewayIn(subnet) }));
  try {
    const network = { id, created: core.now().toISOString() };
    const outcome = await networks.networkCreateShared(core, here, { network, overlay, subnets }, options);
    if (options?.dryRun) return outcome;
    writeSubnetEnv(core.paths, outcome.value);
    await services.flannel.follow(id);
    return outcome;
  } catch (error) {
    if (fresh) await registry.release(name, isOurs(overlay)).catch(() => undefined);
    throw error;
  }
}

/** Takes it from this host, and gives the lease back; with etcd away, that runs out by itself within a day. */
export async function flannelRemove(core: Core, network: FlannelNetwork): Promise<Outcome<Network>> {
  const outcome = await networks.networkRemove(core, network.id);
  await core.services?.flannel.leave(network.id);
  removeSubnetEnv(core.paths, network);
  const { overlay } = network;
  try {
    using registry = openRegistry(overlay.flannel);
    await registry.release(overlay.self.node, isOurs(overlay));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const attributes = { reason, cure: 'it runs out by itself, a day after it was renewed' };
    core.events.publish({ type: 'cluster', action: 'fault', name: `lease ${overlay.self.node} in etcd`, attributes });
  }
  return outcome;
}

/** What etcd has of us says where we are: whether it is this host that wrote it. */
export function isOurs(...overlays: readonly Overlay[]): (text: string) => boolean {
  const addresses = new Set(overlays.flatMap(({ self }) => self.addresses));
  return (text) => {
    try {
      return parseLease('0.0.0.0-8', text).addresses.some((ip) => addresses.has(ip.text));
    } catch (error) {
      if (error instanceof NetloomError) return false;
      throw error;
    }
  };
}

interface Taken {
  readonly overlay: Overlay;
  /** Of the lease. */
  readonly name: string;
  /** This host had none. */
  readonly fresh: boolean;
}

async function takeLease(core: Core, registry: FlannelRegistry, place: FlannelPlace, dry: boolean): Promise<Taken> {
  const underlay = await chooseUnderlay(core, place.addresses ?? [], place.etcd);
  for (let race = 0; race < RACES; race++) {
    const records = await registry.read();
    const config = registry.configOf(records);
    const draft = overlayIn(core, place, config, [], underlay);
    const had = leaseOf(config, records.leases, draft.self.addresses[0] ?? '');
    const prefixes = had === undefined ? chooseLease(config, records.leases, [], core.random) : parseLeaseKey(had);
    const overlay = await withTracking(core, overlayIn(core, place, config, prefixes, underlay, draft.self));
    const name = leaseKey(prefixes);
    // before anything is written: a flannel that runs here would lose its lease's words
    await refuseOverlaps(core, overlay);
    if (dry || (await registry.hold(name, leaseTextOf(overlay), isOurs(overlay))))
      return { overlay, name, fresh: had === undefined };
  }
  throw new NetloomError('ERANGEEXHAUSTED', `others took what this host chose, ${RACES} times`, { hint: 'try again' });
}

async function refuseOverlaps(core: Core, { ranges }: Overlay): Promise<void> {
  using kernel = core.kernel.scope();
  const host = await viewHost(core.kernel.host, kernel.rtnl(''));
  const others = await core.store.read((tx) => tx.list<Network>(KEYS.networks));
  const taken = [...occupiedBy(others.map(({ value }) => value)), ...host.used];
  for (const range of ranges) overlapCheck(parsePrefix(range), taken);
}
