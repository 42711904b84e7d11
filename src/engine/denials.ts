import { objectOf } from '../drivers/index.ts';
import { factKey, type NftElementFact } from '../facts/index.ts';
import { type Endpoint, formatPort, type Network, type PublishedPort } from '../model/index.ts';
import { portElements } from '../nat/index.ts';
import type { ReadTx } from '../store/index.ts';
import { remove, removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import { forgetDenied, forgetStale } from './conntrack.ts';
import type { Core } from './core.ts';
import type { NewEvent } from './events.ts';
import type { Claim } from './ports.ts';
import { textOf } from './put-right.ts';
import { KEYS, type Workload, workloadOf } from './records.ts';
import type { Service } from './services.ts';
import { judgeTracking } from './tracking.ts';
import { transition } from './transition.ts';

/** How long changes are collected before anything is judged, milliseconds: a reload is many transactions. */
const COLLECT_MS = 100;
/** Judging takes this part of the time at most, where somebody changes the rules all the time. */
const SHARE = 10;
/** After a fault, and where an endpoint was busy. */
const FAULT_MS = 5000;
const BUSY_MS = 250;

/** An endpoint as it was and as it becomes. */
interface Turn {
  readonly was: Endpoint;
  readonly is: Endpoint;
  readonly workload: Workload;
  readonly network: Network | undefined;
}

/**
 * Judges published ports anew whenever other programs' rules or the host's ways to the outside change, for as long as a
 * resident engine lives: what the host's firewall refuses by now is closed, and what it accepts by now is opened. So are
 * tunnels: those that it lets through by connection tracking alone are tracked from now on.
 */
export class Denials implements Service {
  readonly #core: Core;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #pause = COLLECT_MS;

  private constructor(core: Core) {
    this.#core = core;
  }

  /** Begins at once with what was changed while nobody looked. */
  static begin(core: Core): Denials {
    const denials = new Denials(core);
    core.firewall.onTouched(() => denials.#wake(denials.#pause));
    denials.#wake(0);
    return denials;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#core.firewall.onTouched(undefined);
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wake(wait: number): void {
    this.#again ||= this.#running !== undefined;
    if (this.#running || this.#timer || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#wake(this.#pause);
      });
    }, wait).unref();
  }

  async #run(): Promise<void> {
    const began = performance.now();
    let retry = 0;
    try {
      const ports = await this.#judge();
      const tunnels = await judgeTracking(this.#core);
      if (!ports || !tunnels) retry = BUSY_MS;
    } catch (error) {
      retry = FAULT_MS;
      this.#core.events.publish({
        type: 'engine',
        action: 'firewall-failed',
        name: "published ports, tunnels and the host's firewall",
        attributes: { cause: textOf(error) },
      });
    }
    this.#pause = Math.max(COLLECT_MS, retry, (performance.now() - began) * (SHARE - 1));
    if (retry > 0) this.#again = true;
  }

  /** False where an endpoint was busy. */
  async #judge(): Promise<boolean> {
    const core = this.#core;
    core.services?.membership.reconsider();
    const published = await core.store.read(endpointsWithPorts);
    const changed = new Set<string>();
    let busy = false;
    for (const endpoint of published) {
      if (this.#stopped) return true;
      const ports = await core.firewall.decide(core, endpoint, endpoint.ports);
      if (ports.every((port, i) => port === endpoint.ports[i])) continue;
      if (endpoint.phase === 'ready') changed.add(endpoint.id);
      else busy ||= endpoint.phase === 'creating';
    }
    if (changed.size === 0) return !busy;
    const { value: turns } = await change(core, undefined, async (tx): Promise<Decision<readonly Turn[]>> => {
      const turns: Turn[] = [];
      for (const id of changed) {
        const was = await tx.get<Endpoint>(KEYS.endpoints + id);
        if (was?.phase !== 'ready') continue;
        const is = { ...was, ports: await core.firewall.decide(core, was, was.ports) };
        const network = await tx.get<Network>(KEYS.networks + was.network);
        turns.push({ was, is, workload: await workloadOf(tx, was), network });
        await tx.put(KEYS.endpoints + id, is);
      }
      const subnets = (await tx.list<Network>(KEYS.networks)).flatMap(({ value }) => value.subnets);
      const before = turns.flatMap(({ was, workload }) => elementsOf(was, workload));
      const after = turns.flatMap(({ is, workload }) => elementsOf(is, workload));
      return {
        // where the engine dies now, the record says what is wanted, and the next start makes it so
        key: '',
        value: turns,
        changes: transition(before, after),
        tells: await tellsOf(core, turns),
        async finish() {
          for (const { was, is } of turns) {
            const closed = is.ports.filter((port, i) => port.denied === true && was.ports[i] !== port);
            const opened = is.ports.filter((port, i) => port.denied !== true && was.ports[i] !== port);
            await forgetDenied(
              core,
              is,
              closed,
              subnets.map(({ subnet }) => subnet),
            );
            await forgetStale(core, is, opened);
          }
        },
        settle: () => Promise.resolve(turns),
        async revert(tx) {
          for (const { was, is } of turns) {
            const now = await tx.get<Endpoint>(KEYS.endpoints + was.id);
            if (now && JSON.stringify(now.ports) === JSON.stringify(is.ports))
              await tx.put(KEYS.endpoints + was.id, { ...now, ports: was.ports });
          }
        },
      };
    });
    await this.#takeBack(turns);
    return !busy;
  }

  /** An element that came after its endpoint was taken away, meanwhile and by somebody else, goes again. */
  async #takeBack(turns: readonly Turn[]): Promise<void> {
    const core = this.#core;
    const wanted = new Set<string>();
    await core.store.read(async (tx) => {
      for (const endpoint of await endpointsWithPorts(tx))
        for (const fact of elementsOf(endpoint, await workloadOf(tx, endpoint))) wanted.add(factKey(fact));
    });
    const added = turns.flatMap(({ was, is, workload }) => {
      const had = new Set(elementsOf(was, workload).map(factKey));
      return elementsOf(is, workload).filter((fact) => !had.has(factKey(fact)));
    });
    const strange = added.filter((fact) => !wanted.has(factKey(fact)));
    if (strange.length === 0) return;
    using kernel = core.kernel.scope();
    await remove(kernel, removalOf(strange));
  }
}

/** Whoever has ports of the host, in whichever phase. */
async function endpointsWithPorts(tx: ReadTx): Promise<Endpoint[]> {
  const ids = new Set((await tx.list<Claim>(KEYS.ports)).map(({ value }) => value.endpoint));
  const endpoints: Endpoint[] = [];
  for (const id of ids) {
    const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
    if (endpoint) endpoints.push(endpoint);
  }
  return endpoints;
}

function elementsOf(endpoint: Endpoint, workload: Workload): NftElementFact[] {
  return portElements(endpoint, objectOf(endpoint, { workload: workload.name }));
}

async function tellsOf(core: Core, turns: readonly Turn[]): Promise<NewEvent[]> {
  const events: NewEvent[] = [];
  for (const { was, is, workload, network } of turns) {
    const tell = (action: string, ports: readonly PublishedPort[], cause: string): void =>
      void events.push({
        type: 'endpoint',
        action,
        id: is.id,
        name: `${is.ifname} of ${workload.name}`,
        attributes: {
          network: network?.name ?? '',
          ports: ports.map(formatPort).join(' '),
          ...(cause === '' ? {} : { cause }),
        },
      });
    const closed = is.ports.filter((port, i) => port.denied === true && was.ports[i] !== port);
    const opened = is.ports.filter((port, i) => port.denied !== true && was.ports[i] !== port);
    const [first] = closed;
    if (first) tell('denied', closed, await core.firewall.reason(core, first));
    if (opened.length > 0) tell('allowed', opened, '');
  }
  return events;
}
