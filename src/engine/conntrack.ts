import { contains, parseIp, parsePrefix, type Prefix } from '../addr/index.ts';
import type { ConntrackEntry, ConntrackFilter } from '../conntrack/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { readSysctl } from '../kernel/index.ts';
import type { Endpoint, PublishedPort } from '../model/index.ts';
import { addressDump, ipMessages, parseAddress } from '../rtnetlink/index.ts';
import type { Core } from './core.ts';

/** Where connections are forgotten one after another: who comes meanwhile goes with the next. */
const TURN = 'connections';
/** The same for those to ports that were published. */
const STALE = 'connections-before';
/** So many entries are read as a whole sooner than the kernel is asked twice. */
const SMALL = 512;
/** The kernel walks its whole table for each question, however few entries answer it. */
const QUESTIONS = 16;

/**
 * Forgets every connection from and to endpoints that are gone. To be called when their links are, so that no packet can
 * make a new entry, and before their addresses can be leased again: whoever gets one next must not inherit replies to
 * somebody else's questions, nor a translation that swallows its own.
 *
 * Each entry is deleted by its own tuple and number; nothing else is touched. Calls that come while one is under way go
 * together, in one look at the table, on a thread.
 */
export async function forgetConnections(core: Core, endpoints: readonly Pick<Endpoint, 'addresses'>[]): Promise<void> {
  const addresses = endpoints.flatMap((e) => e.addresses).map((address) => parsePrefix(address).address.text);
  if (addresses.length === 0 || tracked(core) === 0) return;
  await core.turns.runShared(TURN, addresses.join(' '), async (items) => {
    const gone = new Set([...items].flatMap((item) => item.split(' ')));
    await forget(
      core,
      [...gone].flatMap((src): ConntrackFilter[] => {
        const { family } = parseIp(src);
        return [
          { family, orig: { src } },
          { family, reply: { src } },
        ];
      }),
      ({ orig, reply }) => gone.has(orig.src) || gone.has(reply.src),
    );
  });
}

/** Ends the connections that came by ports that are published no more: exactly those that were translated by them. */
export async function forgetPublished(
  core: Core,
  endpoint: Pick<Endpoint, 'addresses'>,
  ports: readonly PublishedPort[],
): Promise<void> {
  await forgetByPort(core, ports, (entry, port) => entry.status.includes('dnat') && leadsTo(endpoint, entry, port));
}

/**
 * The same for ports that the host's firewall denies from now on: but for what comes from the host itself or from one of
 * those subnets, to which they stay open.
 */
export async function forgetDenied(
  core: Core,
  endpoint: Pick<Endpoint, 'addresses'>,
  ports: readonly PublishedPort[],
  subnets: readonly string[],
): Promise<void> {
  if (ports.length === 0 || tracked(core) === 0) return;
  const own = await localAddresses(core);
  const near = subnets.map((subnet) => parsePrefix(subnet));
  const outside = (address: string): boolean => {
    const ip = parseIp(address);
    return !own(address) && !near.some((prefix) => prefix.family === ip.family && contains(prefix, ip));
  };
  await forgetByPort(
    core,
    ports,
    (entry, port) => entry.status.includes('dnat') && leadsTo(endpoint, entry, port) && outside(entry.orig.src),
  );
}

/**
 * Forgets what was sent to the host's ports before they were published, and still goes where it went then: to nobody, or
 * to an endpoint of before. A client that keeps sending from one port would otherwise keep the entry alive for ever.
 * To be called when the ports are there, since until then each packet makes the entry anew.
 *
 * The kernel's table is long, however little is in it: calls that come while one is under way go together, in one look,
 * and nobody waits for that of TCP, whose clients begin anew.
 */
export async function forgetStale(
  core: Core,
  endpoint: Pick<Endpoint, 'addresses'>,
  ports: readonly PublishedPort[],
): Promise<void> {
  if (ports.length === 0 || tracked(core) === 0) return;
  const { addresses } = endpoint;
  const patient = ports.filter(({ protocol }) => protocol === 'tcp');
  const urgent = ports.filter(({ protocol }) => protocol !== 'tcp');
  if (patient.length > 0)
    core.behind.run('connections of before', () => forgetOpened(core, { addresses, ports: patient }));
  if (urgent.length > 0) await forgetOpened(core, { addresses, ports: urgent });
}

async function forgetOpened(core: Core, item: Opened): Promise<void> {
  await core.turns.runShared(STALE, JSON.stringify(item), async (items) => {
    const own = await localAddresses(core);
    const owners = new Map<PublishedPort, Opened>();
    for (const opened of [...items].map((text) => JSON.parse(text) as Opened))
      for (const port of opened.ports) owners.set(port, opened);
    await forgetByPort(core, [...owners.keys()], (entry, port) => {
      const owner = owners.get(port);
      return own(entry.orig.dst) && !(owner && entry.status.includes('dnat') && leadsTo(owner, entry, port));
    });
  });
}
interface Opened {
  readonly addresses: readonly string[];
  readonly ports: readonly PublishedPort[];
}

async function forgetByPort(
  core: Core,
  ports: readonly PublishedPort[],
  chosen: (entry: ConntrackEntry, port: PublishedPort) => boolean,
): Promise<void> {
  if (ports.length === 0 || tracked(core) === 0) return;
  const questions = ports.flatMap((port): ConntrackFilter[] => {
    const { family } = parseIp(port.hostAddress);
    const protocol = PROTOCOLS[port.protocol];
    // a range cannot be asked for
    if (port.count > 1) return [{ family, orig: { protocol } }];
    const dst = isAny(port) ? {} : { dst: port.hostAddress };
    return [{ family, orig: { protocol, dport: port.hostPort, ...dst } }];
  });
  const cameBy = (entry: ConntrackEntry, port: PublishedPort): boolean =>
    entry.orig.protocol === PROTOCOLS[port.protocol] &&
    entry.orig.dport !== undefined &&
    entry.orig.dport >= port.hostPort &&
    entry.orig.dport < port.hostPort + port.count &&
    entry.family === parseIp(port.hostAddress).family &&
    (isAny(port) || entry.orig.dst === port.hostAddress);
  await forget(core, questions, (entry) => ports.some((port) => cameBy(entry, port) && chosen(entry, port)));
}

/** Looks for entries in as few answers as possible, and deletes those of them that are meant. */
async function forget(
  core: Core,
  questions: readonly ConntrackFilter[],
  meant: (entry: ConntrackEntry) => boolean,
): Promise<void> {
  const whole = tracked(core) <= SMALL || questions.length > QUESTIONS;
  const found = new Map<string, ConntrackEntry>();
  try {
    const conn = core.kernel.conntrack;
    for (const question of whole ? [{}] : questions) {
      for (const entry of await conn.dump(question)) if (meant(entry)) found.set(`${entry.family} ${entry.id}`, entry);
    }
    await conn.deleteEach([...found.values()]);
  } catch (error) {
    // what all of this comes after has been done, and a connection too many is no reason to say it was not
    if (!(error instanceof NetloomError)) throw error;
    core.events.publish({
      type: 'engine',
      action: 'conntrack-failed',
      name: 'connections of what is gone',
      attributes: { cause: error.message },
    });
  }
}

/** Whether an entry's answers come from where the port leads to. */
function leadsTo(endpoint: Pick<Endpoint, 'addresses'>, { orig, reply }: ConntrackEntry, port: PublishedPort): boolean {
  if (orig.dport === undefined) return false;
  const target = endpoint.addresses.some((address) => parsePrefix(address).address.text === reply.src);
  return target && reply.sport === port.containerPort + (orig.dport - port.hostPort);
}

/** True for the addresses that a published port without one is published on. */
async function localAddresses(core: Core): Promise<(address: string) => boolean> {
  using kernel = core.kernel.scope();
  const own = new Set(
    ipMessages(await kernel.rtnl('').execute(addressDump()))
      .map(parseAddress)
      .map((address) => parsePrefix(address.address).address.text),
  );
  return (address) => own.has(address) || (!address.includes(':') && contains(LOOPBACK, parseIp(address)));
}
const LOOPBACK: Prefix = parsePrefix('127.0.0.0/8');

/** How many connections the host tracks; Infinity where the kernel does not say, 0 in a rehearsal. */
function tracked(core: Core): number {
  if (core.stage) return 0;
  try {
    return Number(readSysctl(core.kernel.host, 'net.netfilter.nf_conntrack_count'));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EUNSUPPORTED', 'EACCES', 'EPERM')) return Infinity;
    throw error;
  }
}

function isAny(port: PublishedPort): boolean {
  return port.hostAddress === '0.0.0.0' || port.hostAddress === '::';
}

/** IANA protocol numbers. */
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
