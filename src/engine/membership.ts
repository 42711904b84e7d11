import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AliveRecord, FORMAT, type NodeRecord, SHARED } from '../cluster/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import type { ClusterStatus, JoinFinding, JoinSpec } from '../model/index.ts';
import { openEtcdStore, type SharedStore } from '../store/index.ts';
import { VERSION } from '../version.ts';
import { checkNodeBgp } from './bgp-settings.ts';
import { Borrowing } from './borrowing.ts';
import { type ClusterConfig, readClusterConfig, storeOptionsOf, writeClusterConfig } from './cluster-config.ts';
import type { Core } from './core.ts';
import { Follower, together } from './follow.ts';
import { Ingress } from './ingress.ts';
import { Lending } from './lending.ts';
import { Mirror } from './mirror.ts';
import { answerProbes, checkNode, refuseUnfit, surroundingsOf } from './node-check.ts';
import { Publisher } from './publisher.ts';
import { textOf } from './put-right.ts';
import { Rekeying } from './rekeying.ts';
import type { Service } from './services.ts';
import { chooseUnderlay, type Underlay } from './underlay.ts';

/** Seconds for which a host that is not heard of keeps its name. */
const TTL = { usual: 10, least: 5, most: 600 };
/** Between two attempts to reach etcd, milliseconds. */
const RETRY = { least: 300, most: 2000 };

/** One time of being in the cluster, from taking the name until it is lost or given back. */
interface Stay {
  readonly config: ClusterConfig;
  readonly store: SharedStore;
  readonly underlay: Underlay;
  readonly node: NodeRecord;
  readonly mirror: Mirror;
  readonly ingress: Ingress;
  readonly borrowing: Borrowing;
  readonly rekeying: Rekeying;
  readonly lost: AbortSignal;
}

/**
 * This host's membership of a cluster, for as long as a resident engine lives: the name is held, what others wrote is
 * mirrored here, what is here is published. With etcd away all that is mirrored stays, and it is tried again.
 */
export class Membership implements Service {
  readonly #core: Core;
  #config: ClusterConfig | undefined;
  #stay: Stay | undefined;
  #reason = '';
  #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  private constructor(core: Core) {
    this.#core = core;
  }

  static begin(core: Core): Membership {
    const membership = new Membership(core);
    const config = readClusterConfig(core.paths);
    if (config) membership.#run(config);
    return membership;
  }

  status(): Omit<ClusterStatus, 'faults'> {
    const node = this.#config?.name ?? '';
    const etcd = this.#config?.etcd ?? [];
    if (!this.#config) return { node, etcd, state: 'none', reason: '' };
    if (this.#stay && !this.#stay.lost.aborted) return { node, etcd, state: 'connected', reason: '' };
    const lost = hasCode(this.#stay?.lost.reason, 'ETENURELOST');
    return { node, etcd, state: lost ? 'lost' : 'away', reason: this.#reason };
  }

  /** What could not be made here of what the cluster has, a line each. */
  get faults(): readonly string[] {
    return this.#stay?.mirror.faults.lines ?? [];
  }

  /** This host's firewall says something else by now of ports that it serves for others. */
  reconsider(): void {
    this.#stay?.mirror.reconsider();
  }

  /** @throws NetloomError ENOCLUSTER, EETCDAWAY, ETENURELOST */
  stay(): Stay {
    if (!this.#config) throw noCluster();
    if (this.#stay && !this.#stay.lost.aborted) return this.#stay;
    throw new NetloomError(
      'EETCDAWAY',
      `this host is not connected to its cluster: ${this.#reason || 'it just begins'}`,
      {
        hint: 'what is on this host goes on; try again when etcd is reached (netloom node status)',
      },
    );
  }

  /** A key of that network may not serve again. Whoever meets it while etcd is away meets it again. */
  keyUsed(network: string): void {
    this.#stay?.rekeying.keyUsed(network);
  }

  /**
   * Waits until the host is in, or refuses it; what was before stays then.
   * @throws NetloomError ENODEUNFIT where a finding stops it, unless `force`
   */
  async join(
    spec: JoinSpec,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<{ readonly stay: Stay; readonly findings: readonly JoinFinding[] }> {
    const before = this.#config;
    checkNodeBgp(spec.bgp ?? {});
    const { ttl = TTL.usual } = spec;
    if (!Number.isInteger(ttl) || ttl < TTL.least || ttl > TTL.most)
      throw new NetloomError('EBADOPTION', `ttl ${ttl}: ${TTL.least} to ${TTL.most} seconds`);
    const config: ClusterConfig = {
      ...spec,
      name: checkNodeName(spec.name ?? hostname()),
      id: before?.id ?? randomUUID(),
      joined: before?.joined ?? this.#core.now().toISOString(),
    };
    await this.#end();
    try {
      let findings: readonly JoinFinding[] = [];
      const stay = await this.#enter(config, undefined, async (store, underlay) => {
        findings = await checkNode(this.#core, await surroundingsOf(store, { name: config.name, underlay }));
        if (!force) refuseUnfit(findings);
      });
      writeClusterConfig(this.#core.paths, config);
      this.#config = config;
      this.#run(config, stay);
      return { stay: stay.stay, findings };
    } catch (error) {
      if (before) this.#run(before);
      throw error;
    }
  }

  /** Gives the name back. The caller has taken away what the node had. */
  async leave(): Promise<void> {
    await this.#end();
    writeClusterConfig(this.#core.paths, undefined);
    this.#config = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  #run(config: ClusterConfig, first?: Entered): void {
    this.#config = config;
    this.#stop = new AbortController();
    this.#loop = this.#keep(config, this.#stop.signal, first);
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** Enters again whenever the name was lost. */
  async #keep(config: ClusterConfig, signal: AbortSignal, first: Entered | undefined): Promise<void> {
    let pause = RETRY.least;
    let entered = first;
    while (!signal.aborted) {
      try {
        await using stay = entered ?? (await this.#enter(config, signal));
        entered = undefined;
        pause = RETRY.least;
        this.#tell('connected', config);
        await aborted([signal, stay.stay.lost]);
        if (signal.aborted) return;
        this.#reason = textOf(stay.stay.lost.reason);
      } catch (error) {
        if (signal.aborted) return;
        const reason = textOf(error);
        if (reason !== this.#reason) this.#tell('away', config, reason, error);
        this.#reason = reason;
      } finally {
        this.#stay = undefined;
      }
      await sleep(pause * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      pause = Math.min(pause * 2, RETRY.most);
    }
  }

  /** @param before  what is looked at while nothing is written yet */
  async #enter(
    config: ClusterConfig,
    signal: AbortSignal | undefined,
    before?: (store: SharedStore, underlay: Underlay) => Promise<void>,
  ): Promise<Entered> {
    const core = this.#core;
    await using stack = new AsyncDisposableStack();
    // first of all, since it says what is wrong with the words
    const store = stack.use(await openEtcdStore(storeOptionsOf(config)));
    const underlay = await chooseUnderlay(core, config.addresses ?? [], config.etcd);
    signal?.throwIfAborted();
    const { name, id, joined } = config;
    const { addresses, reason, dev, mtu } = underlay;
    const found = await store.read((tx) => tx.get<NodeRecord>(SHARED.nodes + name));
    if (found && found.id !== id) {
      throw new NetloomError('ENODETAKEN', `node "${name}" is another host (${found.addresses.join(', ')})`, {
        hint: `choose another name, or remove that node first: netloom node rm ${name}`,
      });
    }
    if (found && found.format !== FORMAT) throw skew(found);
    await before?.(store, underlay);
    const holding = store.hold(SHARED.alive + name, { id } satisfies AliveRecord, {
      ttl: config.ttl ?? TTL.usual,
      mayReplace: (value) => (value as AliveRecord).id === id,
    });
    const tenure = stack.use(
      await holding.catch((error: unknown) => {
        // both came at once, and it has not written itself down yet
        if (!hasCode(error, 'ETENURETAKEN')) throw error;
        throw new NetloomError('ENODETAKEN', `node "${name}" is another host, which has just joined`, {
          hint: 'choose another name',
          cause: error,
        });
      }),
    );
    const node: NodeRecord = {
      ...{ name, id, addresses, reason, dev, mtu, version: VERSION, joined, format: FORMAT },
      ...(found?.draining && { draining: true }),
    };
    // before others read of us, and ask
    stack.use(answerProbes(core, node));
    if (JSON.stringify(found) !== JSON.stringify(node)) await store.transact((tx) => tx.put(SHARED.nodes + name, node));
    const mirror = stack.use(new Mirror(core, store, node, underlay, config.bgp));
    const who = { node: name, nodeId: id };
    const lending = stack.use(new Lending(core, store, who, mirror));
    const borrowing = stack.use(new Borrowing(core, store, who, mirror));
    stack.use(await Follower.start(store, [SHARED.root], together([lending, borrowing, mirror]), SHARED.root));
    await mirror.settled();
    lending.begin();
    await borrowing.begin();
    stack.use(await Publisher.start(core, store, node, mirror));
    const ingress = stack.use(await Ingress.start(core, store, who, mirror));
    const rekeying = stack.use(await Rekeying.start(core, store, name, mirror));
    const stay: Stay = {
      config,
      store,
      underlay,
      node,
      mirror,
      ingress,
      borrowing,
      rekeying,
      lost: AbortSignal.any([tenure.lost, mirror.broken]),
    };
    this.#stay = stay;
    this.#reason = '';
    const kept = stack.move();
    return { stay, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  #tell(action: string, config: ClusterConfig, reason = '', error?: unknown): void {
    const cure = error instanceof NetloomError ? error.hint : '';
    const attributes = { etcd: config.etcd.join(' '), ...(reason !== '' && { reason }), ...(cure && { cure }) };
    this.#core.events.publish({ type: 'cluster', action, name: config.name, attributes });
  }
}

interface Entered extends AsyncDisposable {
  readonly stay: Stay;
}
export type { Stay };

function noCluster(): NetloomError {
  return new NetloomError('ENOCLUSTER', 'this host is in no cluster', {
    hint: 'netloom node join --etcd URL makes it a member of one',
  });
}

function skew({ name, version, format }: NodeRecord): NetloomError {
  return new NetloomError(
    'EVERSIONSKEW',
    `node "${name}" was written by netloom ${version}, records of format ${format}`,
    {
      hint: `this is netloom ${VERSION}, which has format ${FORMAT}: take one version on all hosts`,
    },
  );
}

/** A DNS label: it is a part of keys, and people say it. @throws NetloomError EBADNAME */
function checkNodeName(name: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i.test(name)) return name;
  throw new NetloomError('EBADNAME', `node "${name}": letters, digits, dots and dashes, 63 at most`, {
    hint: 'choose another: --name NAME',
  });
}

async function aborted(signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  if (any.aborted) return;
  await new Promise((resolve) => any.addEventListener('abort', resolve, { once: true }));
}
