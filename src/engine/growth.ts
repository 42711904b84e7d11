import { bridgeOptions, driverOf, nextShard, PORTS, shardFacts, SHARDS } from '../drivers/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import type { Endpoint, Network } from '../model/index.ts';
import { shardElements } from '../nat/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import type { Change } from './apply.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { KEYS } from './records.ts';

/** `bridged/<network>/<bridge>/<endpoint>`: those that hang on a further bridge, to be counted without reading them. */
const BRIDGED = 'bridged/';
/** How many endpoints may come while a further bridge is being made. */
const HEADROOM = 100;
/** What a bridge takes where no other has room: the kernel's 1,023 ports, less the joints. */
const LAST_RESORT = 1000 + 23 - SHARDS;

/** Where a network's next endpoint hangs. */
export interface Berth {
  /** Undefined for the network's first bridge, and for networks without any. */
  readonly bridge: string | undefined;
  /** There is little room left: whoever took this makes more, once it is attached. */
  readonly crowded: boolean;
}

/** Chooses a bridge with room for one more. @throws NetloomError EBRIDGEFULL */
export async function chooseBerth(tx: ReadTx, network: Network): Promise<Berth> {
  const first: Berth = { bridge: undefined, crowded: false };
  const total = await tx.count(`${KEYS.ofNetwork}${network.id}/`);
  const capacity = driverOf(network).capacity(network);
  if (network.options.driver !== 'bridge') {
    if (total < capacity) return first;
    throw new NetloomError(
      'ENETWORKFULL',
      `network "${network.name}" has its endpoint: mode passthru takes one alone`,
      {
        hint: 'use mode bridge for more, or another parent',
      },
    );
  }
  if (total < PORTS - HEADROOM) return first;
  const shards = await shardsInPlace(tx, network);
  const counts = new Map<string | undefined, number>([[undefined, total]]);
  for (const shard of shards) {
    const count = await tx.count(`${BRIDGED}${network.id}/${shard}/`);
    counts.set(shard, count);
    counts.set(undefined, (counts.get(undefined) ?? 0) - count);
  }
  const room = PORTS * counts.size - total;
  const crowded = room <= HEADROOM && counts.size <= SHARDS;
  for (const limit of [PORTS, LAST_RESORT]) {
    for (const [bridge, count] of counts) if (count < limit) return { bridge, crowded };
  }
  throw new NetloomError('EBRIDGEFULL', `network "${network.name}" has ${total} endpoints, and room for no more`, {
    hint: 'use a second network',
  });
}

/** Remembers where an endpoint hangs. */
export async function takeBerth(tx: Tx, endpoint: Endpoint): Promise<void> {
  if (endpoint.bridge !== undefined) await tx.put(berthKey(endpoint, endpoint.bridge), 1);
}
export async function leaveBerth(tx: Tx, endpoint: Endpoint): Promise<void> {
  if (endpoint.bridge !== undefined) await tx.delete(berthKey(endpoint, endpoint.bridge));
}

/** After endpoints were made: whichever of their networks is short of room gets more. */
export async function growCrowded(core: Core, ids: readonly string[]): Promise<void> {
  for (const id of new Set(ids)) {
    const crowded = await core.store.read(async (tx) => {
      const network = await tx.get<Network>(KEYS.networks + id);
      return network?.options.driver === 'bridge' && network.phase === 'ready' && (await isCrowded(tx, network));
    });
    if (crowded) await grow(core, id);
  }
}

/** Gives a network one more bridge, where it still needs one. In turn with whoever defines networks. */
export async function grow(core: Core, id: string): Promise<void> {
  await core.turns.run('networks', () =>
    change(core, undefined, async (tx): Promise<Decision<undefined>> => {
      const network = await tx.get<Network>(KEYS.networks + id);
      const none: Decision<undefined> = {
        key: '',
        value: undefined,
        changes: [],
        settle: () => Promise.resolve(undefined),
        revert: () => Promise.resolve(),
      };
      if (network?.phase !== 'ready' || network.options.driver !== 'bridge') return none;
      if (!(await isCrowded(tx, network))) return none;
      const shard = nextShard(network);
      const { shards = [] } = network.options;
      await tx.put(KEYS.networks + id, { ...network, options: { ...network.options, shards: [...shards, shard] } });
      const facts = [...shardFacts(network, shard), ...shardElements(network, shard)];
      return {
        ...none,
        key: `network/${id}`,
        changes: facts.map((fact): Change => ({ verb: 'add', fact })),
        async revert(tx) {
          const now = await tx.get<Network>(KEYS.networks + id);
          if (!now) return;
          const options = bridgeOptions(now);
          const left = (options.shards ?? []).filter((each) => each !== shard);
          await tx.put(KEYS.networks + id, { ...now, options: { ...options, shards: left } });
        },
      };
    }),
  );
}

async function isCrowded(tx: ReadTx, network: Network): Promise<boolean> {
  try {
    return (await chooseBerth(tx, network)).crowded;
  } catch (error) {
    if (hasCode(error, 'EBRIDGEFULL')) return (bridgeOptions(network).shards ?? []).length < SHARDS;
    throw error;
  }
}

/** The last one may be recorded already, and still on its way into the kernel. */
async function shardsInPlace(tx: ReadTx, network: Network): Promise<readonly string[]> {
  const { shards = [] } = bridgeOptions(network);
  const pending = await tx.list(KEYS.pending);
  return pending.some(({ key }) => key.endsWith(`/network/${network.id}`)) ? shards.slice(0, -1) : shards;
}

function berthKey(endpoint: Endpoint, bridge: string): string {
  return `${BRIDGED}${endpoint.network}/${bridge}/${endpoint.id}`;
}
