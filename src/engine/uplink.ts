import { hasCode } from '../errors.ts';
import type { Network } from '../model/index.ts';
import { NETLINK, NetlinkMonitor } from '../netlink/index.ts';
import {
  EVENT_GROUPS,
  ipMessages,
  linkGet,
  parseEvent,
  parseLink,
  parseRoute,
  routeDump,
  RT_TABLE,
} from '../rtnetlink/index.ts';
import type { Core } from './core.ts';
import { networkUpdate } from './network-update.ts';
import { KEYS } from './records.ts';

/** The interface that the default route leaves by. */
interface Uplink {
  readonly index: number;
  /** Bytes. */
  readonly mtu: number;
}

/**
 * Keeps networks for which no MTU was asked at the uplink's: now, and whenever its MTU or the default route changes.
 * While there is no default route everything stays as it is. Ends with its disposal.
 */
export async function followUplink(core: Core): Promise<AsyncDisposable> {
  const monitor = NetlinkMonitor.open(NETLINK.ROUTE, core.kernel.host, [...EVENT_GROUPS.link, ...EVENT_GROUPS.route]);
  let uplink: Uplink | undefined;
  let again: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    clearTimeout(again);
    try {
      uplink = await findUplink(core);
      // no event tells that an attachment is done
      if (uplink && !(await adapt(core, uplink.mtu))) again = setTimeout(() => void look(), RETRY);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      core.events.publish({
        type: 'engine',
        action: 'uplink-failed',
        name: 'MTU of the uplink',
        attributes: { cause },
      });
    }
  };
  await look();
  const running = (async () => {
    for await (const event of monitor) {
      const matters = event.kind === 'overrun' || event.messages.some((message) => concerns(uplink, message));
      if (matters) await look();
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      clearTimeout(again);
      monitor.close();
      await running;
    },
  };
}

/** Whether a message may mean another MTU for whoever follows the uplink. */
function concerns(uplink: Uplink | undefined, message: Parameters<typeof parseEvent>[0]): boolean {
  const event = parseEvent(message);
  if (event?.kind === 'route') return event.route.dst.endsWith('/0') && event.route.table === RT_TABLE.MAIN;
  if (event?.kind !== 'link' || event.link.index !== uplink?.index) return false;
  // with an interface that goes down, its IPv4 routes go without a word
  return event.verb === 'delete' || !event.link.up || event.link.mtu !== uplink.mtu;
}

async function findUplink(core: Core): Promise<Uplink | undefined> {
  using kernel = core.kernel.scope();
  const conn = kernel.rtnl('');
  const routes = ipMessages(await conn.execute(routeDump({ table: RT_TABLE.MAIN })))
    .map(parseRoute)
    .filter((route) => route.dst.endsWith('/0') && route.oif !== 0 && route.type === 'unicast');
  const [first] = routes.toSorted((a, b) => a.family - b.family || a.metric - b.metric);
  if (!first) return undefined;
  try {
    const [message] = await conn.execute(linkGet({ index: first.oif }));
    return message && { index: first.oif, mtu: parseLink(message).mtu };
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return undefined; // gone since: another event tells
    throw error;
  }
}

/** How long after a network was busy it is tried again, milliseconds. */
const RETRY = 250;

/** False where a network was busy. */
async function adapt(core: Core, mtu: number): Promise<boolean> {
  let done = true;
  const networks = await core.store.read((tx) => tx.list<Network>(KEYS.networks));
  for (const { value: network } of networks) {
    const { options } = network;
    // what hosts share follows its own underlay
    if (network.overlay || options.driver !== 'bridge' || !options.followsUplink) continue;
    if (options.mtu === mtu || network.phase !== 'ready') continue;
    try {
      await networkUpdate(core, network.id, { options: { mtu: '0' } });
    } catch (error) {
      if (!hasCode(error, 'ENETWORKNOTFOUND', 'ENETWORKBUSY')) throw error;
      done &&= !hasCode(error, 'ENETWORKBUSY');
    }
  }
  return done;
}
