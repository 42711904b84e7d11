import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from './dirs.ts';
import { type Background, ipBatch, jsonIn, okIn, startIn } from './run.ts';
import { until } from './wait.ts';

/** Machines on one segment: `192.0.2.N` and `2001:db8::N`, N from 1. */
export interface Street extends AsyncDisposable {
  readonly machines: readonly Netns[];
  /** A directory that any user may enter. */
  readonly dir: string;
}

export async function makeStreet(count: number): Promise<Street> {
  await using undo = new AsyncDisposableStack();
  const dirs = undo.use(makeDirs());
  chmodSync(dirs.root, 0o755);
  const between = undo.use(Netns.create());
  const machines = Array.from({ length: count }, () => undo.use(Netns.create()));
  await ipBatch(between, [
    'link add street up type bridge mcast_snooping 0',
    ...machines.flatMap(({ fd }, i) => [
      `link add port${i} up type veth peer name eth0 netns /proc/${process.pid}/fd/${fd}`,
      `link set port${i} master street`,
    ]),
  ]);
  await Promise.all(
    machines.map((netns, i) =>
      ipBatch(netns, [
        'link set lo up',
        'link set eth0 up',
        `addr add 192.0.2.${i + 1}/24 dev eth0`,
        `addr add 2001:db8::${i + 1}/64 dev eth0 nodad`,
      ]),
    ),
  );
  const kept = undo.move();
  return { machines, dir: dirs.root, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A BGP router of one AS, as each of the programs is told in its own words. */
export interface RouterConfig {
  readonly asn: number;
  /** Its identifier. */
  readonly id: string;
  /** What it announces. */
  readonly networks: readonly string[];
  readonly neighbours: readonly {
    readonly address: string;
    readonly asn: number;
    readonly password?: string;
    /** IPv4 with an IPv6 next hop. @see RFC 8950 */
    readonly extendedNextHop?: boolean;
  }[];
}

/** A real router in a namespace of the test's. It holds for three seconds, and announces restarts. */
export interface Router extends AsyncDisposable {
  /** What its control program says. */
  ask(...commands: readonly string[]): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** What it announces from now on. */
  announce(networks: readonly string[]): Promise<void>;
  /** Asks its neighbours for everything again. */
  refresh(): Promise<void>;
  /** The BGP part dies without a word, and begins again, perhaps with other networks. */
  kill(): Promise<void>;
  restart(networks?: readonly string[]): Promise<void>;
}
export type RouterKind = (netns: Netns, dir: string, config: RouterConfig) => Promise<Router>;

/** FRR's zebra and bgpd, with their sockets in a directory of their own. */
export async function frr(netns: Netns, dir: string, config: RouterConfig): Promise<Router> {
  await using undo = new AsyncDisposableStack();
  const home = join(dir, config.id);
  mkdirSync(home);
  chmodSync(home, 0o777);
  const at = (file: string): string => join(home, file);
  writeFileSync(at('zebra.conf'), 'hostname router\n');
  const user = frrUser();
  const common = ['-u', user, '-g', user, '--vty_socket', home, '-z', at('zserv'), '-P', '0', '--log', 'stdout'];
  const ask = (daemon: string, commands: readonly string[]): Promise<string> =>
    okIn(netns, ['vtysh', '--vty_socket', home, '-d', daemon, ...commands.flatMap((each) => ['-c', each])]);
  const answers = (daemon: string, running: Background): Promise<unknown> =>
    until(`${daemon} answers`, async () => (await ask(daemon, ['show version'])).includes('FRR'), START).catch(
      (error) => explain(error, running),
    );
  const zebra = undo.use(
    startIn(netns, ['/usr/lib/frr/zebra', ...common, '-i', at('zebra.pid'), '-f', at('zebra.conf')]),
  );
  await answers('zebra', zebra);
  let bgpd: Background | undefined;
  let networks = config.networks;
  undo.defer(() => bgpd?.[Symbol.asyncDispose]());
  const begin = async (): Promise<void> => {
    writeFileSync(at('bgpd.conf'), frrText({ ...config, networks }));
    bgpd = startIn(netns, ['/usr/lib/frr/bgpd', ...common, '-i', at('bgpd.pid'), '-f', at('bgpd.conf')]);
    await answers('bgpd', bgpd);
  };
  await begin();
  const kept = undo.move();
  return {
    ask: (...commands) => ask('bgpd', commands),
    signal: (signal) => void bgpd!.child.kill(signal),
    async announce(wanted) {
      const line = (network: string, no: string): string[] => [
        `address-family ipv${network.includes(':') ? 6 : 4} unicast`,
        `${no}network ${network}`,
        'exit-address-family',
      ];
      await ask('bgpd', [
        ...['configure terminal', `router bgp ${config.asn}`],
        ...networks.filter((each) => !wanted.includes(each)).flatMap((each) => line(each, 'no ')),
        ...wanted.filter((each) => !networks.includes(each)).flatMap((each) => line(each, '')),
      ]);
      networks = wanted;
    },
    refresh: async () => void (await ask('bgpd', ['clear bgp ipv4 unicast * soft in'])),
    kill: () => killed(bgpd!),
    restart: (wanted = networks) => {
      networks = wanted;
      return begin();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/**
 * FRR gives up root for the user `frr`, and wants its group frrvty. Where a user namespace has neither, it stays what it
 * is, and the group is root's, in the /etc/group of the tests' own mount namespace.
 */
function frrUser(): string {
  if (/^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'))) return 'frr';
  const others = readFileSync('/etc/group', 'utf8').replaceAll(/^frr(vty)?:.*\n/gm, '');
  // another file in its place: the one that is there may belong to nobody here
  writeFileSync('/etc/.group', `${others}frrvty:x:0:root\n`);
  renameSync('/etc/.group', '/etc/group');
  return 'root';
}

function frrText({ asn, id, networks, neighbours }: RouterConfig): string {
  const of = (family: 4 | 6): string[] => [
    `address-family ipv${family} unicast`,
    ...networks.filter((each) => each.includes(':') === (family === 6)).map((each) => `network ${each}`),
    ...neighbours.map(({ address }) => `neighbor ${address} activate`),
    'exit-address-family',
  ];
  return [
    `router bgp ${asn}`,
    `bgp router-id ${id}`,
    'no bgp ebgp-requires-policy',
    'no bgp network import-check',
    'timers bgp 1 3',
    'bgp graceful-restart',
    'bgp graceful-restart preserve-fw-state',
    // RFC 8538 has notifications that end nothing: a later document than what is tested
    'no bgp graceful-restart notification',
    ...neighbours.flatMap(({ address, asn: remote, password, extendedNextHop }) => [
      `neighbor ${address} remote-as ${remote}`,
      `neighbor ${address} timers connect 1`,
      `neighbor ${address} advertisement-interval 0`,
      ...(password === undefined ? [] : [`neighbor ${address} password ${password}`]),
      ...(extendedNextHop ? [`neighbor ${address} capability extended-nexthop`] : []),
    ]),
    ...of(4),
    ...of(6),
    '',
  ].join('\n');
}

/** BIRD 2: one program, which writes into its namespace's kernel itself. */
export async function bird(netns: Netns, dir: string, config: RouterConfig): Promise<Router> {
  const home = join(dir, config.id);
  mkdirSync(home);
  const at = (file: string): string => join(home, file);
  const ask = (command: string): Promise<string> => okIn(netns, ['birdc', '-s', at('ctl'), command]);
  let running: Background;
  let networks = config.networks;
  const write = (): void => writeFileSync(at('bird.conf'), birdText({ ...config, networks }));
  const begin = async (flags: readonly string[] = []): Promise<void> => {
    write();
    running = startIn(netns, ['bird', '-f', ...flags, '-c', at('bird.conf'), '-s', at('ctl'), '-P', at('pid')]);
    await until('bird answers', async () => (await ask('show status')).includes('BIRD'), START).catch((error) =>
      explain(error, running),
    );
  };
  await begin();
  return {
    ask: async (...commands) => (await Promise.all(commands.map(ask))).join('\n'),
    signal: (signal) => void running.child.kill(signal),
    async announce(wanted) {
      networks = wanted;
      write();
      await ask('configure');
    },
    refresh: async () => void (await ask('reload in all')),
    kill: () => killed(running),
    restart: (wanted = networks) => {
      networks = wanted;
      // what the kernel has from before is taken over
      return begin(['-R']);
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function birdText({ asn, id, networks, neighbours }: RouterConfig): string {
  const of = (family: 4 | 6): string =>
    `protocol kernel k${family} { ipv${family} { export where source = RTS_BGP; import none; }; persist; }
     protocol static s${family} { ipv${family};
       ${networks
         .filter((each) => each.includes(':') === (family === 6))
         .map((each) => `route ${each} blackhole;`)
         .join(' ')} }`;
  const sessions = neighbours.map(({ address, asn: remote, password, extendedNextHop }, i) => {
    const local = address.includes(':') ? `2001:db8::${id.split('.')[3]}` : id;
    const channel = 'import all; export where source = RTS_STATIC || source = RTS_BGP;';
    return `protocol bgp n${i} {
      local ${local} as ${asn}; neighbor ${address} as ${remote};
      ${password === undefined ? '' : `password "${password}";`}
      connect retry time 1; connect delay time 1; error wait time 1, 1; hold time 3; graceful restart on;
      ipv4 { ${channel} ${extendedNextHop ? 'extended next hop on;' : ''} };
      ipv6 { ${channel} };
    }`;
  });
  return [
    'log stderr all;',
    `router id ${id};`,
    'protocol device {}',
    'protocol direct { ipv4; ipv6; }',
    of(4),
    of(6),
    ...sessions,
    '',
  ].join('\n');
}

/** Other programs' first answer, on a machine that has much to do. */
const START = { timeout: 15_000 } as const;

/** What the kernel of a namespace has as the way to a prefix: its next hop, or undefined. */
export async function wayIn(netns: Netns, prefix: string): Promise<string | undefined> {
  const family = prefix.includes(':') ? '-6' : '-4';
  const found = await jsonIn<{ gateway?: string; via?: { host: string }; nexthops?: { gateway: string }[] }[]>(netns, [
    ...['ip', '-j', family, 'route', 'show', prefix],
  ]);
  return found[0] && (found[0].gateway ?? found[0].via?.host ?? found[0].nexthops?.[0]?.gateway);
}

async function killed(background: Background): Promise<void> {
  const gone = new Promise((resolve) => background.child.once('close', resolve));
  background.child.kill('SIGKILL');
  await gone;
}
function explain(error: unknown, { output }: Background): never {
  throw new Error(output(), { cause: error });
}
