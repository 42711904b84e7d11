import { OUR_TABLES } from '../facts/index.ts';
import type { NftConn } from '../nftables/index.ts';
import { hasCode } from '../errors.ts';

/** What was dropped for one reason, since the rule set was made. */
export interface Drops {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/**
 * What our rule set has dropped, by reason: `mac`, `ipv4_source`, `ipv6_source`, `arp`, `nd`, `router`, `dhcp_server` of
 * frames, `loopback`, `internal`, `unpublished` … of packets. A reason is a chain `drop_<reason>` of one of our tables,
 * whose first rule counts. Empty where there is no rule set. Numbers begin anew when the rule set is put back.
 */
export async function readDrops(conn: NftConn): Promise<ReadonlyMap<string, Drops>> {
  const drops = new Map<string, Drops>();
  for (const table of OUR_TABLES) {
    for (const { chain, exprs } of await rulesOf(conn, table)) {
      const counter = exprs.find((expr) => expr.name === 'counter');
      if (!chain.startsWith(PREFIX) || !counter) continue;
      drops.set(chain.slice(PREFIX.length), { packets: counter.packets, bytes: counter.bytes });
    }
  }
  return drops;
}
const PREFIX = 'drop_';

async function rulesOf(conn: NftConn, table: (typeof OUR_TABLES)[number]): ReturnType<NftConn['rules']> {
  try {
    return await conn.rules(table);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
