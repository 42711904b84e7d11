import { contains, overlaps, parseIp, parsePrefix, type Prefix } from '../addr/index.ts';
import { inFileOrder, type Problem, problemText } from '../compose/errors.ts';
import type { KeyTable } from '../compose/keys.ts';
import { Reader } from '../compose/reader.ts';
import { type Entry, loadTree, type Tree } from '../compose/tree.ts';
import { NetloomError } from '../errors.ts';
import { parseRate } from '../model/index.ts';
import {
  type Conditions,
  DEFAULT_MTU,
  DEFAULT_NAME,
  defaultPrefixes,
  type EtcdSpec,
  type HostSpec,
  IDEAL,
  LAB_NAME,
  type LabSpec,
  type LinkSpec,
  MACHINE_NAME,
  type SegmentSpec,
} from './spec.ts';

/** A lab's file that cannot be followed: all that is wrong with it, each with its place. */
export class LabFileError extends NetloomError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('ELABFILE', inFileOrder(problems).map(problemText).join('\n'));
    this.problems = problems;
  }
}

const keys = (...honoured: readonly string[]): KeyTable => ({ honoured, noEffect: [], refused: {} });
const CONDITIONS = ['rate', 'delay', 'loss', 'mtu'];
const FILE_KEYS = keys('name', 'hosts', 'segments', 'etcd', 'router', 'join');
const SEGMENT_KEYS = keys('prefixes', ...CONDITIONS);
const HOST_KEYS = keys('segment', 'address', 'links', 'daemon', ...CONDITIONS);
const LINK_KEYS = keys('segment', 'address', ...CONDITIONS);
const ETCD_KEYS = keys('members', 'segment');
const DAEMON_KEYS = keys('log-level', 'metrics-listen', 'published-ports');
/** As `netloom daemon` has them. */
const DAEMON_VALUES: Readonly<Record<string, readonly string[]>> = {
  'log-level': ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
  'published-ports': ['obey', 'open'],
};

const RESERVED = /^(wire|router|etcd\d*)$/;
const MOST_HOSTS = 100;

/** Reads the text of a lab's file. @throws LabFileError */
export async function parseLabFile(file: string, text: string): Promise<LabSpec> {
  const { tree, problems } = await loadTree(file, text, () => undefined);
  if (problems.length > 0) throw new LabFileError(problems);
  const reader = new FileReader();
  const spec = reader.read(
    tree ?? { kind: 'scalar', at: { file, line: 1, column: 1 }, value: null, text: '', tag: '' },
  );
  if (reader.problems.length > 0) throw new LabFileError(reader.problems);
  return spec;
}

interface Segment extends SegmentSpec {
  readonly conditions: Conditions;
}
type Section = ReadonlyMap<string, Entry>;

class FileReader extends Reader {
  #segments: Segment[] = [];

  read(tree: Tree): LabSpec {
    const file = this.section(tree, '', FILE_KEYS, new Set());
    const name = this.#name(file.get('name'), 'name', LAB_NAME) ?? DEFAULT_NAME;
    this.#segments = this.#readSegments(file.get('segments'));
    const hosts = this.#readHosts(file.get('hosts'));
    const etcd = this.#readEtcd(file.get('etcd'));
    const router = file.get('router');
    const join = file.get('join');
    return {
      name,
      segments: this.#segments.map(({ conditions: _, ...segment }) => segment),
      hosts,
      etcd,
      router: (router && this.boolean(router.value, 'router')) ?? 'auto',
      join: (join && this.boolean(join.value, 'join')) ?? true,
    };
  }

  #name(entry: Entry | undefined, path: string, pattern: RegExp): string | undefined {
    const name = entry && this.string(entry.value, path);
    if (name === undefined || pattern.test(name)) return name;
    this.fail(entry!.value.at, path, `"${name}" is no name here`, nameCure(pattern));
    return undefined;
  }

  #readSegments(entry: Entry | undefined): Segment[] {
    const map = entry && this.map(entry.value, 'segments');
    const entries = [...(map?.entries ?? [])];
    if (entries.length === 0)
      return [{ name: 'lan', prefixes: defaultPrefixes(0), mtu: DEFAULT_MTU, conditions: IDEAL }];
    const taken: { readonly prefix: Prefix; readonly segment: string }[] = [];
    return entries.map(([name, { keyAt, value }], i) => {
      const path = `segments.${name}`;
      if (!MACHINE_NAME.test(name)) this.fail(keyAt, path, `"${name}" is no name here`, nameCure(MACHINE_NAME));
      const own = this.section(value, path, SEGMENT_KEYS, new Set());
      const given = own.get('prefixes');
      const prefixes = given ? this.#prefixes(given.value, `${path}.prefixes`) : defaultPrefixes(i);
      for (const text of prefixes) {
        const prefix = parsePrefix(text);
        const other = taken.find((each) => overlaps(each.prefix, prefix));
        if (other)
          this.fail((given ?? { value }).value.at, path, `${text} overlaps ${other.prefix.text} of ${other.segment}`);
        taken.push({ prefix, segment: name });
      }
      return {
        name,
        prefixes,
        mtu: this.#mtu(own, path) ?? DEFAULT_MTU,
        conditions: this.#conditions(own, path, IDEAL),
      };
    });
  }

  #prefixes(tree: Tree, path: string): string[] {
    const found = (this.strings(tree, path) ?? []).flatMap(
      (text) => this.attempt(tree.at, path, () => parsePrefix(text, { strict: true })) ?? [],
    );
    for (const { family, length, text } of found) {
      const most = family === 4 ? 30 : 126;
      if (length > most) this.fail(tree.at, path, `${text} has no room for two machines`, `write /${most} or shorter`);
    }
    if (found.length === 0) this.fail(tree.at, path, 'a segment has a prefix of one family at least');
    if (found.length > new Set(found.map(({ family }) => family)).size)
      this.fail(tree.at, path, 'a segment has one prefix a family at most');
    return found.map(({ text }) => text);
  }

  #mtu(own: Section, path: string): number | undefined {
    const mtu = own.get('mtu');
    return mtu && this.integer(mtu.value, `${path}.mtu`, 1280, 65_535);
  }

  #conditions(own: Section, path: string, above: Conditions): Conditions {
    const read = (key: string, parse: (text: string) => number): number | undefined => {
      const entry = own.get(key);
      const text = entry && this.string(entry.value, `${path}.${key}`);
      return text === undefined ? undefined : this.attempt(entry!.value.at, `${path}.${key}`, () => parse(text));
    };
    return {
      rate: read('rate', parseRate) ?? above.rate,
      delay: read('delay', parseDelay) ?? above.delay,
      loss: read('loss', parseLoss) ?? above.loss,
    };
  }

  #readHosts(entry: Entry | undefined): HostSpec[] {
    if (!entry) return this.#counted(3);
    const { value } = entry;
    if (value.kind === 'scalar' && value.value !== null) {
      const count = this.integer(value, 'hosts', 1, MOST_HOSTS);
      return this.#counted(count ?? 1);
    }
    if (value.kind === 'list') {
      return value.items.flatMap((item, i) => {
        const name = this.string(item, `hosts[${i}]`);
        if (name === undefined) return [];
        this.#hostName(name, item.at, `hosts[${i}]`);
        return [this.#plainHost(name)];
      });
    }
    const entries = [...(this.map(value, 'hosts')?.entries ?? [])];
    if (entries.length === 0)
      this.fail(value.at, 'hosts', 'a lab has one host at least', 'give a count, a list or a map');
    if (entries.length > MOST_HOSTS) this.fail(value.at, 'hosts', `a lab has ${MOST_HOSTS} hosts at most`);
    return entries.map(([name, host]) => {
      this.#hostName(name, host.keyAt, `hosts.${name}`);
      return this.#readHost(name, host.value);
    });
  }

  #hostName(name: string, at: Tree['at'], path: string): void {
    if (!MACHINE_NAME.test(name)) this.fail(at, path, `"${name}" is no name here`, nameCure(MACHINE_NAME));
    else if (RESERVED.test(name))
      this.fail(at, path, `${name} is what the lab calls one of its own`, 'give it another name');
  }
  #counted(count: number): HostSpec[] {
    return Array.from({ length: count }, (_, i) => this.#plainHost(`host${i + 1}`));
  }
  #plainHost(name: string): HostSpec {
    return { name, links: [this.#linkTo(this.#segments[0]!)], daemon: [] };
  }
  #linkTo({ name, mtu, conditions }: Segment): LinkSpec {
    return { segment: name, addresses: [], mtu, ...conditions };
  }

  #readHost(name: string, tree: Tree): HostSpec {
    const path = `hosts.${name}`;
    const own = this.section(tree, path, HOST_KEYS, new Set());
    const list = own.get('links');
    const links: LinkSpec[] = [];
    if (list) {
      for (const key of ['segment', 'address', ...CONDITIONS]) {
        const entry = own.get(key);
        if (entry)
          this.fail(entry.keyAt, `${path}.${key}`, 'a host with links says it of each of them', 'move it there');
      }
      for (const [i, item] of (this.list(list.value, `${path}.links`) ?? []).entries()) {
        const at = `${path}.links[${i}]`;
        links.push(this.#readLink(this.section(item, at, LINK_KEYS, new Set()), at));
      }
      if (links.length === 0) this.fail(list.value.at, `${path}.links`, 'a host has one link at least');
    } else links.push(this.#readLink(own, path));
    return { name, links, daemon: this.#readDaemon(own.get('daemon'), `${path}.daemon`) };
  }

  #readLink(own: Section, path: string): LinkSpec {
    const segment = this.#segment(own.get('segment'), `${path}.segment`);
    const plain = this.#linkTo(segment);
    const address = own.get('address');
    const texts = (address && this.strings(address.value, `${path}.address`)) ?? [];
    const addresses = texts.flatMap((text) => {
      const ip = this.attempt(address!.value.at, `${path}.address`, () => parseIp(text));
      if (!ip) return [];
      const prefix = segment.prefixes.map((each) => parsePrefix(each)).find((each) => contains(each, ip));
      if (prefix && ip.value > prefix.first && (ip.family === 6 || ip.value < prefix.last)) return [ip.text];
      const known = segment.prefixes.join(' and ');
      this.fail(address!.value.at, `${path}.address`, `${text} is no address of ${segment.name}, which has ${known}`);
      return [];
    });
    if (addresses.length > new Set(addresses.map((each) => each.includes(':'))).size)
      this.fail(address!.value.at, `${path}.address`, 'a link has one address a family at most');
    return { ...plain, addresses, mtu: this.#mtu(own, path) ?? plain.mtu, ...this.#conditions(own, path, plain) };
  }

  #segment(entry: Entry | undefined, path: string): Segment {
    const [first] = this.#segments;
    const name = entry && this.string(entry.value, path);
    if (name === undefined) return first!;
    const found = this.#segments.find((segment) => segment.name === name);
    if (!found) {
      const known = this.#segments.map((segment) => segment.name).join(', ');
      this.fail(entry!.value.at, path, `there is no segment ${name}`, `the file has ${known}`);
    }
    return found ?? first!;
  }

  /** `false`, or options of `netloom daemon`. */
  #readDaemon(entry: Entry | undefined, path: string): string[] | undefined {
    if (!entry) return [];
    const { value } = entry;
    if (value.kind === 'scalar' && typeof value.value === 'boolean') return value.value ? [] : undefined;
    return [...this.section(value, path, DAEMON_KEYS, new Set())].flatMap(([key, option]) => {
      const text = this.string(option.value, `${path}.${key}`);
      if (text === undefined) return [];
      const known = DAEMON_VALUES[key];
      if (known && !known.includes(text))
        this.fail(option.value.at, `${path}.${key}`, `it cannot be "${text}"`, `it is one of ${known.join(', ')}`);
      return [`--${key}=${text}`];
    });
  }

  /** A count of members, or `members` and `segment`. */
  #readEtcd(entry: Entry | undefined): EtcdSpec | undefined {
    if (!entry) return undefined;
    const { value } = entry;
    const own: Section =
      value.kind === 'scalar' ? new Map([['members', entry]]) : this.section(value, 'etcd', ETCD_KEYS, new Set());
    const given = own.get('members');
    const members = given ? this.integer(given.value, 'etcd.members', 0, 5) : 1;
    if (members === 2 || members === 4)
      this.fail(
        given!.value.at,
        'etcd.members',
        `${members} members bear no more losses than ${members - 1}`,
        'write 1, 3 or 5',
      );
    const segment = this.#segment(own.get('segment'), 'etcd.segment');
    return members === undefined || members === 0 ? undefined : { members, segment: segment.name };
  }
}

function nameCure(pattern: RegExp): string {
  return pattern === LAB_NAME
    ? 'use lower-case letters, digits and dashes, 31 at most'
    : 'use lower-case letters, digits and dashes, a letter first, 12 at most';
}

/** `10ms`, `1.5s`, `200us`; milliseconds. @throws NetloomError EBADDURATION */
export function parseDelay(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(text) ?? [];
  if (digits === undefined) {
    throw new NetloomError('EBADDURATION', `"${text}" is no delay`, { hint: 'Write it as 10ms, 200us or 1.5s.' });
  }
  return Number(digits) * (unit === 's' ? 1000 : unit === 'us' ? 0.001 : 1);
}

/** `1%`, `0.5%`: 0 to 1. @throws NetloomError EBADOPTION */
export function parseLoss(text: string): number {
  const [, digits] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  if (digits === undefined || Number(digits) > 100)
    throw new NetloomError('EBADOPTION', `"${text}" is no loss`, { hint: 'Write it as 1% or 0.5%.' });
  return Number(digits) / 100;
}
