import { bucketOf } from '../drivers/index.ts';
import { parseQdisc, qdiscDump, rootDelete, type Rtnl, tbfAdd, tbfChange, netemReplace } from '../rtnetlink/index.ts';
import type { PlannedLink } from './plan.ts';

/** Ours among the queues of a link: `6c61:`. */
const HANDLE = 0x6c61;

/**
 * Rate and delay of what leaves by one end of a cable; both ends have the same. The rate is a token bucket, with a delay
 * it is netem's own, so that there is one queue. Loss is the rule set's (ruleset.ts).
 */
export async function shape(
  rtnl: Rtnl,
  index: number,
  { rate, delay, mtu }: Pick<PlannedLink, 'rate' | 'delay' | 'mtu'>,
): Promise<void> {
  const qdiscs = (await rtnl.conn.execute(qdiscDump())).map(parseQdisc);
  const have = qdiscs.find((qdisc) => qdisc.index === index && qdisc.handle === HANDLE);
  const kind = delay > 0 ? 'netem' : rate > 0 ? 'tbf' : '';
  if (have && have.kind !== kind) await rtnl.conn.execute(rootDelete(index));
  if (kind === 'netem') {
    await rtnl.conn.execute(netemReplace(index, HANDLE, { delay, rate }));
  } else if (kind === 'tbf') {
    const bucket = bucketOf(rate, mtu);
    await rtnl.conn.execute((have?.kind === 'tbf' ? tbfChange : tbfAdd)(index, HANDLE, bucket));
  }
}
