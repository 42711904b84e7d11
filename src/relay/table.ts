import { bitsOf, type Ip, type Prefix } from '../addr/index.ts';
import type { RelayTable } from '../kernel/index.ts';

/** A prefix, and who has it. */
export interface Behind {
  readonly prefix: Prefix;
  readonly address: Ip;
  readonly port: number;
}

/**
 * Lays prefixes flat, so that the longest one that holds an address is found by one binary search: intervals that do not
 * overlap, each up to the next one's start.
 */
export function tableOf(entries: readonly Behind[]): RelayTable {
  const sockets = new Map(entries.map((entry) => [socketKey(entry), socketAddress(entry)]));
  const sorted = [...sockets].toSorted(([, a], [, b]) => Buffer.compare(a, b));
  const numbers = new Map(sorted.map(([key], number) => [key, BigInt(number)]));
  const of = (family: 4 | 6): BigUint64Array =>
    intervals(
      entries
        .filter(({ prefix }) => prefix.family === family)
        .map((entry) => ({ prefix: entry.prefix, peer: numbers.get(socketKey(entry))! })),
      1n << BigInt(bitsOf(family)),
    );
  return { intervals4: of(4), intervals6: of(6), peers: Buffer.concat(sorted.map(([, bytes]) => bytes)) };
}

type Numbered = { readonly prefix: Prefix; readonly peer: bigint };

/** A sweep from the lowest address to the highest; `open` are the prefixes around the place, the longest one last. */
function intervals(entries: readonly Numbered[], end: bigint): BigUint64Array {
  const open: Numbered[] = [];
  const starts = new Map<bigint, bigint>(); // in ascending order, since the sweep only goes up
  const close = (): void => {
    const { prefix } = open.pop()!;
    if (prefix.last + 1n < end) starts.set(prefix.last + 1n, open.at(-1)?.peer ?? NOBODY);
  };
  const order = (a: Numbered, b: Numbered): number =>
    a.prefix.first < b.prefix.first ? -1 : a.prefix.first > b.prefix.first ? 1 : a.prefix.length - b.prefix.length;
  for (const entry of entries.toSorted(order)) {
    while (open.length > 0 && open.at(-1)!.prefix.last < entry.prefix.first) close();
    starts.set(entry.prefix.first, entry.peer);
    open.push(entry);
  }
  while (open.length > 0) close();
  return BigUint64Array.from([...starts].flatMap(([first, peer]) => [first >> 64n, first & LOW, peer]));
}

function socketKey({ address, port }: Behind): string {
  return `${address.text} ${port}`;
}

/** struct sockaddr_in or sockaddr_in6, in 28 bytes. @see ip(7), ipv6(7) */
function socketAddress({ address, port }: Behind): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(address.family === 4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.bytes, address.family === 4 ? 4 : 8);
  return bytes;
}

const NOBODY = 0xffff_ffff_ffff_ffffn;
const LOW = 0xffff_ffff_ffff_ffffn;
const AF_INET = 2;
const AF_INET6 = 10;
