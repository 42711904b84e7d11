import type { Fact, LinkFact, QdiscFact, RedirectFact } from '../facts/index.ts';
import type { Endpoint, Network } from '../model/index.ts';

/**
 * What holds an endpoint's rates; nothing where it has none.
 *
 * Each direction is shaped where it leaves by a link: a token bucket (tc-tbf(8)) delays rather than drops, which is what
 * TCP needs to settle at the rate; a policer, which only drops, lets TCP have two thirds of it and less. Towards the
 * workload that link is the host's end of the endpoint. From the workload it is an ifb: what comes in by the host's end
 * waits there, and goes on as if it had just come in. A queue on the workload's own interface would be cheaper by one
 * link, and root in the workload could delete it. An endpoint without an end at the host (macvlan, ipvlan) is shaped
 * inside all the same, for want of any other place: there the limit holds for whoever leaves it alone.
 */
export function rateFacts(network: Pick<Network, 'options'>, endpoint: Endpoint, object: string): Fact[] {
  const { ingress, egress } = endpoint.rates;
  if (ingress === 0 && egress === 0) return [];
  const mtu = 'mtu' in network.options ? network.options.mtu : 0;
  const atHost = endpoint.hostIfname !== '';
  const ns = atHost ? '' : endpoint.netns;
  const dev = atHost ? endpoint.hostIfname : endpoint.ifname;
  const { ingressBurst = 0, egressBurst = 0 } = endpoint.tuning ?? {};
  const [sent, received] = atHost ? [ingress, egress] : [egress, ingress];
  const [sentBurst, receivedBurst] = atHost ? [ingressBurst, egressBurst] : [egressBurst, ingressBurst];
  const queue = (on: string, rate: number, burst: number): QdiscFact => ({
    kind: 'qdisc',
    ns,
    object,
    dev: on,
    tbf: bucketOf(rate, mtu, burst),
  });
  const facts: Fact[] = sent === 0 ? [] : [queue(dev, sent, sentBurst)];
  if (received === 0) return facts;
  const name = `if${endpoint.id.slice(0, 11)}`;
  const ifb: LinkFact = {
    kind: 'link',
    ns,
    object,
    name,
    origin: { type: 'ifb' },
    mac: '',
    mtu: 0,
    master: '',
    up: true,
    alias: `netloom endpoint ${endpoint.id.slice(0, 12)}`,
    addrGenMode: 'none',
  };
  const redirect: RedirectFact = { kind: 'redirect', ns, object, dev, to: name };
  return [...facts, ifb, queue(name, received, receivedBurst), redirect];
}

/**
 * A rate of an endpoint counts what full datagrams carry, so that a measurement shows the number that was asked for: the
 * bucket, which counts frames, gets the headers on top. At an MTU of 1500 a TCP stream has 98 % of the rate and the wire 103 %.
 *
 * A bucket holds 10 ms: less, and a host that is late by as much loses tokens; more, and a burst shows. The queue holds 50 ms
 * beside it, but never less than two packets of the largest size, so that a slow start is not cut off at once.
 * @param rate bits per second
 * @param mtu bytes; 0: not known
 * @param wished bits of burst; 0: 10 ms
 */
export function bucketOf(rate: number, mtu: number, wished = 0): QdiscFact['tbf'] {
  const packet = mtu === 0 ? DEFAULT_MTU : mtu;
  const framed = Math.ceil((rate * (packet + ETHERNET)) / (packet - IP_UDP));
  const bytes = framed / 8;
  const burst = Math.max(Math.ceil(wished === 0 ? bytes * 0.01 : wished / 8), 2 * (packet + ETHERNET));
  const limit = burst + Math.max(Math.ceil(bytes * 0.05), 2 * LARGEST_PACKET);
  return { rate: framed, burst: Math.min(burst, U31), limit: Math.min(limit, U31) };
}

const DEFAULT_MTU = 1500;
/** linux/if_ether.h ETH_HLEN */
const ETHERNET = 14;
/** Headers of IPv4 and UDP. */
const IP_UDP = 28;
/** linux/netdevice.h GSO_LEGACY_MAX_SIZE */
const LARGEST_PACKET = 65_536;
const U31 = 0x7fff_ffff;
