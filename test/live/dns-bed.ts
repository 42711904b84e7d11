import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnsServer, type DnsOptions, type NameView, type SrvTarget } from '../../src/dns/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../lib/dirs.ts';
import { type Background, ipBatch, okIn, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

/** Where the resolver listens, and who asks from behind it. */
export const BED = {
  gateway: '10.64.0.1',
  gateway6: 'fd00:64::1',
  /** Two containers on one network. */
  one: '10.64.0.2',
  one6: 'fd00:64::2',
  two: '10.64.0.3',
  two6: 'fd00:64::3',
} as const;

/** A host with a bridge, and two containers on it. No way anywhere else: upstream servers run on the host's loopback. */
export interface Bed extends AsyncDisposable {
  readonly host: Netns;
  readonly one: Netns;
  readonly two: Netns;
  /** A directory of the test's own. */
  readonly dir: string;
}

export async function makeBed(): Promise<Bed> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const host = stack.use(Netns.create());
  const one = stack.use(Netns.create());
  const two = stack.use(Netns.create());
  const end = (name: string, netns: Netns): string =>
    `link add ${name} up type veth peer name eth0 netns /proc/${process.pid}/fd/${netns.fd}`;
  await ipBatch(host, [
    'link set lo up',
    'link add br0 up type bridge mcast_snooping 0',
    end('one', one),
    end('two', two),
    'link set one master br0',
    'link set two master br0',
    `addr add ${BED.gateway}/24 dev br0`,
    `addr add ${BED.gateway6}/64 dev br0 nodad`,
  ]);
  for (const [netns, address, address6] of [
    [one, BED.one, BED.one6],
    [two, BED.two, BED.two6],
  ] as const) {
    await ipBatch(netns, [
      'link set lo up',
      'link set eth0 up',
      `addr add ${address}/24 dev eth0`,
      `addr add ${address6}/64 dev eth0 nodad`,
    ]);
  }
  const kept = stack.move();
  return { host, one, two, dir: dirs.root, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Names as the engine would know them. */
export interface Names {
  readonly names?: Readonly<Record<string, readonly string[]>>;
  readonly reverse?: Readonly<Record<string, readonly string[]>>;
  readonly services?: Readonly<Record<string, readonly SrvTarget[]>>;
  readonly upstreams?: readonly string[];
  readonly forward?: boolean;
}

export function viewOf({ names = {}, reverse = {}, services = {}, upstreams, forward = true }: Names): NameView {
  const table = new Map(Object.entries(names));
  const back = new Map(Object.entries(reverse));
  const policy = upstreams === undefined ? { forward } : { forward, upstreams };
  return {
    lookup: (_, name) => table.get(name),
    reverse: (_, address) => back.get(address),
    srv: (_, service, protocol, name) => services[`_${service}._${protocol}.${name}`],
    policy: () => policy,
  };
}

/** A server at the gateway's two addresses. */
export async function serve(
  bed: Bed,
  names: Names,
  upstreams: readonly string[] = [],
  more: Partial<DnsOptions> = {},
): Promise<DnsServer> {
  const server = new DnsServer({
    netns: bed.host,
    view: viewOf(names),
    upstreams: { servers: () => upstreams, [Symbol.dispose]: () => undefined },
    ...more,
  });
  await server.listen('net', BED.gateway);
  await server.listen('net', BED.gateway6);
  return server;
}

/** What `dig` saw. */
export interface Dig {
  readonly status: string;
  /** `qr aa rd ra` */
  readonly flags: readonly string[];
  /** Data of the answer section, in order: an address, a name, an SRV record's four words. */
  readonly data: readonly string[];
  readonly ttls: readonly number[];
  readonly authority: number;
  readonly text: string;
}

export async function dig(netns: Netns, words: string): Promise<Dig> {
  const { stdout, stderr, status } = await runIn(netns, ['dig', '+tries=1', '+time=8', ...words.split(' ')]);
  const head = /->>HEADER<<- opcode: \w+, status: (\w+)/.exec(stdout);
  if (!head) throw new Error(`dig ${words}: ${status} ${stdout} ${stderr}`);
  const answer = /;; ANSWER SECTION:\n([^;]*?)\n\n/s.exec(stdout)?.[1]?.split('\n') ?? [];
  const fields = answer.map((line) => line.split(/\s+/));
  return {
    status: head[1]!,
    flags: /;; flags: ([^;]*);/.exec(stdout)![1]!.trim().split(' '),
    data: fields.map((f) => f.slice(4).join(' ')),
    ttls: fields.map((f) => Number(f[1])),
    authority: Number(/AUTHORITY: (\d+)/.exec(stdout)![1]),
    text: stdout,
  };
}

/** dnsmasq on the host's loopback, as an upstream server. */
export async function dnsmasq(bed: Bed, port: number, lines: readonly string[], log = true): Promise<Background> {
  const config = join(bed.dir, `dnsmasq-${port}.conf`);
  const fixed = ['no-resolv', 'no-hosts', 'keep-in-foreground', 'user=', 'group=', 'bind-interfaces', 'pid-file='];
  if (log) fixed.push('log-queries', 'log-facility=-');
  writeFileSync(config, [...fixed, 'listen-address=127.0.0.1', `port=${port}`, ...lines, ''].join('\n'));
  const process = startIn(bed.host, ['dnsmasq', '-C', config]);
  await listening(bed.host, port, process);
  return process;
}

/** unbound on the host's loopback: the one that can be made to answer with any rcode. */
export async function unbound(bed: Bed, port: number, server: readonly string[]): Promise<Background> {
  const config = join(bed.dir, `unbound-${port}.conf`);
  const text = `server:
  interface: 127.0.0.1
  port: ${port}
  num-threads: 1
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  directory: "${bed.dir}"
  access-control: 0.0.0.0/0 allow
  module-config: "iterator"
  do-ip6: no
  so-rcvbuf: 0
  ${server.join('\n  ')}
remote-control:
  control-enable: no
`;
  writeFileSync(config, text);
  const process = startIn(bed.host, ['unbound', '-d', '-c', config]);
  await listening(bed.host, port, process);
  return process;
}

async function listening(netns: Netns, port: number, server: Background): Promise<void> {
  await until(
    `a server at port ${port}`,
    async () => {
      if (server.child.exitCode !== null) throw new Error(server.output());
      return (await okIn(netns, ['ss', '-Hltn', `sport = :${port}`])).includes('LISTEN');
    },
    { timeout: 15_000 },
  );
}
