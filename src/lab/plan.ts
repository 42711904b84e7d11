import {
  contains,
  formatMac,
  type Ip,
  ipFromValue,
  parseIp,
  parsePrefix,
  type Prefix,
  prefixSize,
} from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { Conditions, LabSpec, LinkSpec } from './spec.ts';

/** A lab in full: every address, name and cable. It is what is recorded, so that it can be taken down without its file. */
export interface LabPlan {
  readonly name: string;
  readonly segments: readonly PlannedSegment[];
  readonly machines: readonly Machine[];
  /** What clients are given; empty without etcd. */
  readonly etcd: readonly string[];
  readonly join: boolean;
}
export interface PlannedSegment {
  /** Also of its bridge. */
  readonly name: string;
  readonly prefixes: readonly string[];
  /** Bytes. */
  readonly mtu: number;
}
export interface Machine {
  readonly name: string;
  readonly kind: 'host' | 'etcd' | 'router';
  readonly links: readonly PlannedLink[];
  /** Arguments of its daemon, or of etcd; undefined where it runs neither. */
  readonly service: readonly string[] | undefined;
}
export interface PlannedLink extends Conditions {
  readonly segment: string;
  /** In the machine: `eth0`. */
  readonly dev: string;
  /** At the bridge: `host1.0`. */
  readonly port: string;
  readonly mac: string;
  /** With length. */
  readonly addresses: readonly string[];
  /** Of default routes, one a family at most. */
  readonly gateways: readonly string[];
  /** Bytes. */
  readonly mtu: number;
}

export const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const ROUTER = 'router';

/**
 * Gives every machine its addresses: the router the first of each segment, hosts from the eleventh on where there is room,
 * etcd the last ones; in both families the same number. The same spec gives the same plan.
 * @throws NetloomError ELAB where a segment has no room, or an address is not of it or given twice
 */
export function planLab(spec: LabSpec): LabPlan {
  const used = new Set(spec.hosts.flatMap((host) => host.links.map((link) => link.segment)));
  if (spec.etcd) used.add(spec.etcd.segment);
  const routed = spec.router === true || (spec.router === 'auto' && used.size > 1);
  const allocator = new Map(
    spec.segments.map((segment, i) => [segment.name, new Numbers(segment.name, segment.prefixes, i)]),
  );
  const numbers = (segment: string): Numbers => allocator.get(segment)!;
  for (const host of spec.hosts)
    for (const link of host.links) for (const address of link.addresses) numbers(link.segment).take(host.name, address);

  const machines: Machine[] = [];
  if (routed) {
    const links = spec.segments.map((segment, i) =>
      plannedLink(ROUTER, i, { ...plain(segment.name, segment.mtu) }, numbers(segment.name), 'router', false),
    );
    machines.push({ name: ROUTER, kind: 'router', links, service: undefined });
  }
  for (const host of spec.hosts) {
    const links = host.links.map((link, i) =>
      plannedLink(host.name, i, link, numbers(link.segment), 'host', routed && i === 0),
    );
    machines.push({ name: host.name, kind: 'host', links, service: host.daemon });
  }
  const members = etcdMachines(spec, numbers, routed);
  const clashing = duplicate([...machines, ...members].map(({ name }) => name));
  if (clashing !== undefined)
    throw new NetloomError('ELAB', `two machines of the lab are called ${clashing}`, {
      hint: 'Give one another name.',
    });
  return {
    name: spec.name,
    segments: spec.segments,
    machines: [...machines, ...members],
    etcd: members.map((member) => `http://${urlHost(member)}:${CLIENT_PORT}`),
    join: spec.join,
  };
}

function etcdMachines(spec: LabSpec, numbers: (segment: string) => Numbers, routed: boolean): Machine[] {
  const { etcd } = spec;
  if (!etcd) return [];
  const mtu = spec.segments.find((segment) => segment.name === etcd.segment)!.mtu;
  const bare = Array.from({ length: etcd.members }, (_, i): Machine => {
    const name = `etcd${i + 1}`;
    const link = plannedLink(name, 0, plain(etcd.segment, mtu), numbers(etcd.segment), 'etcd', routed);
    return { name, kind: 'etcd', links: [link], service: [] };
  });
  const cluster = bare.map((member) => `${member.name}=http://${urlHost(member)}:${PEER_PORT}`).join();
  return bare.map((member) => {
    const host = urlHost(member);
    const service = [
      `--name=${member.name}`,
      `--listen-client-urls=http://${host}:${CLIENT_PORT}`,
      `--advertise-client-urls=http://${host}:${CLIENT_PORT}`,
      `--listen-peer-urls=http://${host}:${PEER_PORT}`,
      `--initial-advertise-peer-urls=http://${host}:${PEER_PORT}`,
      `--initial-cluster=${cluster}`,
    ];
    return { ...member, service };
  });
}

function plain(segment: string, mtu: number): LinkSpec {
  return { segment, addresses: [], mtu, rate: 0, delay: 0, loss: 0 };
}

/** The first of its addresses, as a URL has it. */
function urlHost(machine: Machine): string {
  const address = machine.links[0]!.addresses[0]!.replace(/\/.*/, '');
  return address.includes(':') ? `[${address}]` : address;
}

function plannedLink(
  machine: string,
  index: number,
  link: LinkSpec,
  numbers: Numbers,
  who: Who,
  viaRouter: boolean,
): PlannedLink {
  const { segment, mtu, rate, delay, loss } = link;
  return {
    segment,
    dev: `eth${index}`,
    port: `${machine}.${index}`,
    mtu,
    rate,
    delay,
    loss,
    ...numbers.give(link.addresses, who),
    gateways: viaRouter ? numbers.router() : [],
  };
}

type Who = 'router' | 'host' | 'etcd';

/** The numbers of machines on one segment. */
class Numbers {
  readonly #segment: string;
  readonly #index: number;
  readonly #prefixes: readonly Prefix[];
  readonly #taken = new Map<bigint, string>();
  readonly #size: bigint;

  constructor(segment: string, prefixes: readonly string[], index: number) {
    this.#segment = segment;
    this.#index = index;
    this.#prefixes = prefixes.map((text) => parsePrefix(text));
    // etcd's members are counted from the end: of the IPv4 prefix, else of what looks alike
    const most = this.#prefixes.some((prefix) => prefix.family === 4) ? 65_536n : 256n;
    this.#size = this.#prefixes.map(prefixSize).reduce((least, size) => (size < least ? size : least), most);
  }

  /** Marks an address that the file gives. */
  take(machine: string, text: string): void {
    const address = parseIp(text);
    const prefix = this.#prefixes.find((each) => contains(each, address));
    if (!prefix) {
      const known = this.#prefixes.map((each) => each.text).join(' and ');
      throw new NetloomError('ELAB', `${text} of ${machine} is outside ${this.#segment}, which has ${known}`);
    }
    const number = address.value - prefix.first;
    const other = this.#taken.get(number);
    if (other !== undefined && other !== machine)
      throw new NetloomError('ELAB', `${text} is given to ${machine}, and to ${other} on ${this.#segment} as well`, {
        hint: 'Both families count: an IPv4 and an IPv6 address with the same number belong to one machine.',
      });
    this.#taken.set(number, machine);
  }

  give(given: readonly string[], who: Who): { mac: string; addresses: string[] } {
    const ips = given.map(parseIp);
    const number = this.#numberOf(ips, who);
    const addresses = this.#prefixes.map((prefix) => {
      const own = ips.find((ip) => ip.family === prefix.family);
      return `${(own ?? ipFromValue(prefix.family, prefix.first + number)).text}/${prefix.length}`;
    });
    const low = Number(number & 0xffffn);
    return { mac: formatMac(Uint8Array.of(0x02, 0x6c, 0x61, this.#index, low >> 8, low & 0xff)), addresses };
  }

  router(): string[] {
    return this.#prefixes.map((prefix) => ipFromValue(prefix.family, prefix.first + ROUTER_NUMBER).text);
  }

  #numberOf(given: readonly Ip[], who: Who): bigint {
    const [first] = given;
    if (first) return first.value - this.#prefixes.find((prefix) => contains(prefix, first))!.first;
    const free = who === 'router' ? ROUTER_NUMBER : this.#free(who);
    if (free === undefined || (who === 'router' && this.#taken.has(free)))
      throw new NetloomError(
        'ELAB',
        `${this.#segment} has no address left for ${who === 'host' ? 'another host' : `the ${who}`}`,
        {
          hint: 'Give the segment a larger prefix.',
        },
      );
    this.#taken.set(free, who);
    return free;
  }

  #free(who: Who): bigint | undefined {
    if (who === 'etcd') {
      for (let n = this.#size - 2n; n > ROUTER_NUMBER; n--) if (!this.#taken.has(n)) return n;
      return undefined;
    }
    for (let n = this.#size >= 64n ? 11n : ROUTER_NUMBER + 1n; n < this.#size - 1n; n++)
      if (!this.#taken.has(n)) return n;
    return undefined;
  }
}
const ROUTER_NUMBER = 1n;

function duplicate(names: readonly string[]): string | undefined {
  return names.find((name, i) => names.indexOf(name) !== i);
}
