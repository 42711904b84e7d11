import { parseIp } from '../addr/index.ts';
import type { PublishedPort } from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import type { Remote } from './overlay.ts';

/** `served-ports/<network>/<node>/<endpoint>`: ports of every node that this one serves for endpoints of others. */
const SERVED = 'served-ports/';

/** Whose they are. */
export interface Served {
  readonly endpoint: string;
  readonly node: string;
  /** For people. */
  readonly workload: string;
  readonly ports: readonly PublishedPort[];
}

/** Keeps the list of them beside the remotes. */
export async function noteServed(tx: Tx, network: string, path: string, remote: Remote | undefined): Promise<void> {
  const key = `${SERVED}${network}/${path}`;
  if (remote?.ports && remote.ports.length > 0) {
    const { id, node, ports } = remote;
    await tx.put(key, { endpoint: id, node, workload: workloadOf(remote), ports } satisfies Served);
  } else await tx.delete(key);
}

export async function forgetServed(tx: Tx, network: string): Promise<void> {
  for (const { key } of await tx.list(`${SERVED}${network}/`)) await tx.delete(key);
}

/** Endpoints of a network with ports that are served here. */
export async function servedOf(tx: ReadTx, network: string): Promise<readonly Served[]> {
  return (await tx.list<Served>(`${SERVED}${network}/`)).map(({ value }) => value);
}

/** Who has a port that is served here for another node. */
export async function servedFor(tx: ReadTx, port: PublishedPort): Promise<Served | undefined> {
  for (const { value } of await tx.list<Served>(SERVED))
    if (value.ports.some((each) => overlap(each, port))) return value;
  return undefined;
}

/** `web on node b` */
export function workloadOf({ names, addresses, node }: Pick<Remote, 'names' | 'addresses' | 'node'>): string {
  return `${names[0] ?? addresses[0] ?? 'an endpoint'} on node ${node}`;
}

/** Whether two ports have a number in common. */
function overlap(a: PublishedPort, b: PublishedPort): boolean {
  return (
    a.protocol === b.protocol &&
    a.hostPort < b.hostPort + b.count &&
    b.hostPort < a.hostPort + a.count &&
    clash(a.hostAddress, b.hostAddress)
  );
}

/** Two addresses cannot have the same port when they are equal, or when one of them means all of their family. */
export function clash(a: string, b: string): boolean {
  if (parseIp(a).family !== parseIp(b).family) return false;
  return a === b || a === '0.0.0.0' || b === '0.0.0.0' || a === '::' || b === '::';
}
