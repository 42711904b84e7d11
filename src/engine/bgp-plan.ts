import { createHash } from 'node:crypto';
import { makePrefix, network as networkOf, parseIp, parsePrefix } from '../addr/index.ts';
import type { NeighbourOptions } from '../bgp/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import { bgpOf } from '../overlay/index.ts';

/** Milliseconds between two tries to connect. */
const RETRY = 2000;

/** A network that hosts reach each other in by bgp, wholly or on the way to or from it. */
export interface Spoken {
  readonly network: Network;
  /** As of that backend. */
  readonly overlay: Overlay;
  readonly peers: readonly Peer[];
}

/** What one speaker does for all networks of a host. */
export interface SpeakerPlan {
  /** With another, another speaker is begun. */
  readonly identity: {
    readonly asn: number;
    readonly routerId: string;
    readonly listen: readonly string[];
    /** Seconds. */
    readonly restartTime: number;
  };
  readonly neighbours: readonly NeighbourOptions[];
  /** Which of them are nodes, by their addresses. */
  readonly nodes: ReadonlyMap<string, string>;
  readonly prefixes: readonly string[];
  readonly nextHop: readonly string[];
  /** Empty: sessions are not signed. */
  readonly passwordFile: string;
}

/** Undefined where nothing is to be said. */
export function speakerPlan(spoken: readonly Spoken[]): SpeakerPlan | undefined {
  const [first] = spoken.toSorted((a, b) => (a.network.created < b.network.created ? -1 : 1));
  const options = first?.overlay.bgp;
  if (!first || !options) return undefined;
  const { addresses } = first.overlay.self;
  const plans = spoken.map(({ network, overlay, peers }) => bgpOf(network, overlay, peers));
  const neighbors = new Map(plans.flatMap((plan) => plan.neighbors.map((each) => [each.address, each] as const)));
  // a list of all nodes may be given to each of them
  for (const own of addresses) neighbors.delete(own);
  const accept = [...new Set(spoken.flatMap(({ overlay }) => overlay.ranges))];
  const { asn, holdTime, restartTime, passwordFile } = options;
  return {
    identity: { asn, routerId: routerIdOf(addresses), listen: addresses, restartTime },
    neighbours: [...neighbors.values()].map(({ address, asn: theirs, source }) => ({
      ...{ address, asn: theirs, holdTime, accept, retry: RETRY },
      // nobody passes on what he heard of us: that our AS comes again is another host of it, behind a router
      ...(theirs !== asn && { allowOwnAs: 1 }),
      ...(source !== undefined && { source }),
      extendedNextHop: !addresses.some((each) => parseIp(each).family === 4),
    })),
    nodes: new Map(
      [...neighbors.values()].flatMap(({ address, node }) => (node === undefined ? [] : [[address, node]])),
    ),
    prefixes: plans.flatMap(({ prefixes }) => prefixes),
    nextHop: addresses,
    passwordFile,
  };
}

/** One that no other host has: our IPv4 address, or what looks like one and follows from the IPv6 one. */
function routerIdOf(addresses: readonly string[]): string {
  const four = addresses.find((each) => parseIp(each).family === 4);
  if (four !== undefined) return four;
  const bytes = createHash('sha256').update(addresses.join()).digest();
  // never 0
  return [(bytes[0]! % 223) + 1, bytes[1], bytes[2], bytes[3]].join('.');
}

/** What a table has for the smallest prefix in which all of another is: that itself, or a sum of several. */
export function covering<T>(table: ReadonlyMap<string, T>, text: string): T | undefined {
  const exact = table.get(text);
  if (exact !== undefined || table.size === 0) return exact;
  const prefix = parsePrefix(text);
  for (let length = prefix.length - 1; length > 0; length--) {
    const found = table.get(networkOf(makePrefix(prefix.address, length)).text);
    if (found !== undefined) return found;
  }
  return undefined;
}
