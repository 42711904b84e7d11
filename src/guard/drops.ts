import { OUR_TABLES } from '../facts/index.ts';
import type { NftConn } from '../nftables/index.ts';
import { hasCode } from '../errors.ts';

/** What was dropped for one reason. */
export interface Drops {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** What one rule has counted. */
export interface DropCounter extends Drops {
  /** The kernel's number for the rule: another one counts from zero. */
  readonly rule: bigint;
}

/**
 * What our rule set has dropped, by reason: `mac`, `ipv4_source`, `ipv6_source`, `arp`, `nd`, `router`, `dhcp_server` of
 * frames, `loopback`, `internal`, `unpublished` … of packets. A reason is a chain `drop_<reason>` of one of our tables,
 * whose first rule counts. Empty where there is no rule set. Numbers begin anew when the rule set is put back.
 */
export async function readDrops(conn: NftConn): Promise<ReadonlyMap<string, DropCounter>> {
  const drops = new Map<string, DropCounter>();
  for (const [chain, counter] of await readCounters(conn))
    if (chain.startsWith(DROP_PREFIX)) drops.set(chain.slice(DROP_PREFIX.length), counter);
  return drops;
}
/** What chains that drop are called, before the reason. */
export const DROP_PREFIX = 'drop_';

/** The counter of every chain of our tables that has one. */
async function readCounters(conn: NftConn): Promise<ReadonlyMap<string, DropCounter>> {
  const counters = new Map<string, DropCounter>();
  for (const table of OUR_TABLES) {
    for (const { chain, exprs, handle = 0n } of await rulesOf(conn, table)) {
      const counter = exprs.find((expr) => expr.name === 'counter');
      if (counter) counters.set(chain, { packets: counter.packets, bytes: counter.bytes, rule: handle });
    }
  }
  return counters;
}

/**
 * The counters of our chains, by the chain, as numbers that never go back: what a chain had counted when it was last looked
 * at stays counted after somebody has flushed it, or it went with the last network. What it counted between that look and
 * its end nobody knows.
 */
export class DropTotals {
  readonly #last = new Map<string, DropCounter>();
  readonly #before = new Map<string, Drops>();
  #turn: Promise<unknown> = Promise.resolve();

  /** One look after another: an older one that came in later would be taken for a counter that began anew. */
  read(conn: NftConn): Promise<ReadonlyMap<string, Drops>> {
    const look = this.#turn.then(async () => this.add(await readCounters(conn)));
    this.#turn = look.catch(() => undefined);
    return look;
  }

  /** Takes in what is counted now, and gives everything counted so far. */
  add(now: ReadonlyMap<string, DropCounter>): ReadonlyMap<string, Drops> {
    for (const [reason, last] of this.#last) {
      const next = now.get(reason);
      if (next && next.rule === last.rule && next.packets >= last.packets && next.bytes >= last.bytes) continue;
      this.#before.set(reason, sum(this.#before.get(reason), last));
      this.#last.delete(reason);
    }
    for (const [reason, next] of now) this.#last.set(reason, next);
    const reasons = new Set([...this.#before.keys(), ...now.keys()]);
    return new Map([...reasons].map((reason) => [reason, sum(this.#before.get(reason), this.#last.get(reason))]));
  }
}

function sum(a: Drops | undefined, b: Drops | undefined): Drops {
  return { packets: (a?.packets ?? 0n) + (b?.packets ?? 0n), bytes: (a?.bytes ?? 0n) + (b?.bytes ?? 0n) };
}

async function rulesOf(conn: NftConn, table: (typeof OUR_TABLES)[number]): ReturnType<NftConn['rules']> {
  try {
    return await conn.rules(table);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
