import { readFileSync } from 'node:fs';
import type { LearnedRoute, NeighbourOptions, NeighbourStatus, Speaker } from '../bgp/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { Netns } from '../kernel/index.ts';
import type { Sample } from '../metrics/index.ts';
import type { BgpStatus } from '../model/index.ts';
import { covering, type SpeakerPlan } from './bgp-plan.ts';
import type { Core } from './core.ts';
import { textOf } from './put-right.ts';

/** Who wants to know what becomes of a speaker. */
export interface SpeakerWatcher {
  /** Other routes are known, or all that there are for now. */
  changed(): void;
  /** A session came up, or it, or a try to have one, ended. */
  turned(status: NeighbourStatus): void;
}

/** This host's speaker, with what it was told to be. */
export class HostSpeaker {
  readonly identity: string;
  readonly #speaker: Speaker;
  readonly #netns: Netns;
  readonly #listening = new Set<string>();
  /** What it has ever told of: what it takes back goes at once, what it never told of when it is settled. */
  readonly #heard = new Map<string, true>();
  #plan: SpeakerPlan;
  #settled = false;

  private constructor(plan: SpeakerPlan, speaker: Speaker, netns: Netns) {
    this.identity = identityOf(plan);
    this.#plan = plan;
    this.#speaker = speaker;
    this.#netns = netns;
  }

  /**
   * Speaks, and listens nowhere yet.
   * @param resumed neighbours may have kept what this host told before, and packets went on by it
   * @throws NetloomError EBADBGPOPTION
   */
  static async begin(core: Core, plan: SpeakerPlan, resumed: boolean, watcher: SpeakerWatcher): Promise<HostSpeaker> {
    const { Speaker: Made } = await import('../bgp/index.ts');
    const { asn, routerId, restartTime } = plan.identity;
    const neighbours = signed(plan);
    const netns = Netns.open(`/proc/self/fd/${core.kernel.host.fd}`);
    try {
      const speaker = new Made(
        { asn, routerId, neighbours, netns, restart: { time: restartTime, resumed } },
        {
          routes(changes) {
            for (const { prefix, route } of changes) if (route) host.#heard.set(prefix, true);
            watcher.changed();
          },
          neighbour: (status) => watcher.turned(status),
        },
      );
      const host: HostSpeaker = new HostSpeaker(plan, speaker, netns);
      host.#announce();
      speaker.start();
      void speaker.settled.then(() => {
        host.#settled = true;
        watcher.changed();
      });
      return host;
    } catch (error) {
      netns[Symbol.dispose]();
      throw error;
    }
  }

  /** Of the same identity. @throws NetloomError EBADBGPOPTION; what was before stays then */
  follow(plan: SpeakerPlan): void {
    this.#speaker.setNeighbours(signed(plan));
    this.#plan = plan;
    this.#announce();
  }

  /**
   * Where its port is another's this host connects to its neighbours all the same.
   * @returns what went wrong, by the address
   */
  listen(): ReadonlyMap<string, NetloomError> {
    const failed = new Map<string, NetloomError>();
    for (const address of this.#plan.identity.listen) {
      if (this.#listening.has(address)) continue;
      try {
        this.#speaker.listen(address);
        this.#listening.add(address);
      } catch (error) {
        const cause = hasCode(error, 'EADDRINUSE') ? 'is taken by another program' : `cannot be had: ${textOf(error)}`;
        const what = `BGP: TCP port 179 of ${address} ${cause}; this host connects to its neighbors, and they cannot to it`;
        failed.set(address, new NetloomError('EPORTTAKEN', what, { hint: 'end that program' }));
      }
    }
    return failed;
  }

  get routes(): ReadonlyMap<string, LearnedRoute> {
    return new Map(this.#speaker.routes.map((route) => [route.prefix, route]));
  }
  /** Whether what was learned before this speaker began may still be told again. */
  mayStay(prefix: string): boolean {
    return !this.#settled && !covering(this.#heard, prefix);
  }

  get status(): BgpStatus {
    const { asn, routerId } = this.#plan.identity;
    return {
      ...{ asn, routerId, listening: [...this.#listening], announced: this.#speaker.announced },
      neighbors: this.#speaker.neighbours.map(({ address, asn: theirs, state, since, session, prefixes, last }) => ({
        ...{ address, asn: theirs, state, node: this.#plan.nodes.get(address) ?? '' },
        since: new Date(since).toISOString(),
        ...{ received: prefixes.received, stale: prefixes.stale, sent: prefixes.sent },
        reason: session ? '' : (last?.words ?? ''),
      })),
    };
  }
  /** Neighbours without a session, a line each. */
  get faults(): readonly string[] {
    return this.#speaker.neighbours.filter(({ session }) => !session).map((each) => this.lineOf(each));
  }
  lineOf({ address, asn, last }: NeighbourStatus): string {
    const node = this.#plan.nodes.get(address);
    return `BGP neighbor ${address} (AS ${asn}${node === undefined ? '' : `, node ${node}`}): ${last?.words ?? 'no session yet'}`;
  }

  sample(sample: Sample): void {
    const { neighbours } = this.#speaker;
    const up = neighbours.filter(({ session }) => session).length;
    sample.gauge('netloom_bgp_neighbors', { state: 'established' }, up);
    sample.gauge('netloom_bgp_neighbors', { state: 'down' }, neighbours.length - up);
    const sum = (of: (prefixes: NeighbourStatus['prefixes']) => number): number =>
      neighbours.reduce((all, { prefixes }) => all + of(prefixes), 0);
    sample.gauge(
      'netloom_bgp_prefixes',
      { direction: 'received' },
      sum(({ received }) => received),
    );
    sample.gauge(
      'netloom_bgp_prefixes',
      { direction: 'kept' },
      sum(({ stale }) => stale),
    );
    sample.gauge(
      'netloom_bgp_prefixes',
      { direction: 'sent' },
      sum(({ sent }) => sent),
    );
  }

  async close(how: { readonly keep?: boolean; readonly words?: string }): Promise<void> {
    await this.#speaker.close(how);
    this.#netns[Symbol.dispose]();
  }

  #announce(): void {
    const { prefixes, nextHop } = this.#plan;
    const told = new Set(this.#speaker.announced);
    const gone = [...told].filter((prefix) => !prefixes.includes(prefix));
    if (gone.length > 0) this.#speaker.withdraw(gone);
    const fresh = prefixes.filter((prefix) => !told.has(prefix));
    if (fresh.length > 0) this.#speaker.announce(fresh, { nextHop });
  }
}

/** Speakers of one identity can follow each other's plans. */
export function identityOf({ identity }: SpeakerPlan): string {
  return JSON.stringify(identity);
}

function signed({ neighbours, passwordFile }: SpeakerPlan): readonly NeighbourOptions[] {
  const password = passwordOf(passwordFile);
  return password === '' ? neighbours : neighbours.map((each) => ({ ...each, password }));
}

/** @throws NetloomError EBADBGPOPTION */
function passwordOf(file: string): string {
  if (file === '') return '';
  try {
    const password = readFileSync(file, 'utf8').split('\n')[0] ?? '';
    if (password !== '') return password;
    throw new Error('its first line is empty');
  } catch (error) {
    throw new NetloomError('EBADBGPOPTION', `BGP: the password file ${file} cannot be read: ${textOf(error)}`, {
      hint: 'each node needs it: put it there, readable by the daemon',
      cause: error,
    });
  }
}
