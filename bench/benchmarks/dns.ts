import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { type Background, ipBatch, okIn, startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { median, result, type Result } from '../lib/measure.ts';

const SERVER = '10.64.0.1';
const NAMES = 1000;
const PORTS = { source: 5300, ours: 5301, dnsmasq: 5302, unbound: 5303 } as const;
type Side = 'ours' | 'dnsmasq' | 'unbound';
const SIDES: readonly Side[] = ['ours', 'dnsmasq', 'unbound'];
/** Questions under way at any time: what a busy host sees, and enough that no server waits for us. */
const WINDOW = 64;
const QUERIES = 20_000;
const ROUNDS = 7;
/** Distinct names, each asked once. */
const CROWD = 100_000;

/**
 * Questions answered a second, and the 99th percentile of the time that takes, over a veth pair: names from the cache,
 * and names of the server's own. The reference is the better of dnsmasq and unbound (one thread), in the same run. Then
 * resident memory after 100,000 distinct names more than the cache takes, against that with a full cache.
 */
export async function dns(): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const load = fileURLToPath(new URL('../build/dns_load', import.meta.url));
  const source = fileURLToPath(new URL('../dns_load.c', import.meta.url));
  const built = spawnSync(process.env['CC'] ?? 'cc', ['-std=gnu11', '-O2', '-Wall', source, '-o', load]);
  if (built.status !== 0) throw new Error(`dns_load: ${String(built.stderr)}`);

  const host = stack.use(Netns.create());
  const client = stack.use(Netns.create());
  await ipBatch(host, [
    'link set lo up',
    `link add eth0 up type veth peer name eth0 netns /proc/${process.pid}/fd/${client.fd}`,
    `addr add ${SERVER}/24 dev eth0`,
  ]);
  await ipBatch(client, ['link set lo up', 'link set eth0 up', 'addr add 10.64.0.2/24 dev eth0']);
  const servers = await startServers(host, dirs.root, stack);

  const ask = async (port: number, pattern: string, names: number, queries = QUERIES): Promise<Figures> => {
    const argv = [load, SERVER, String(port), String(WINDOW), String(queries), pattern, String(names)];
    const [rate, , p99, bad] = (await okIn(client, argv, { timeout: 120_000 })).split(' ').map(Number);
    if (bad !== 0) throw new Error(`port ${port}: ${bad} wrong answers for ${pattern}`);
    return { rate: rate!, p99: p99! };
  };
  const results: Result[] = [];
  for (const [name, pattern] of [
    ['cached', 'c%d.test'],
    ['local', 'l%d.test'],
  ] as const) {
    const seen: Record<Side, Figures[]> = { ours: [], dnsmasq: [], unbound: [] };
    for (let round = -2; round < ROUNDS; round++) {
      for (let i = 0; i < SIDES.length; i++) {
        const side = SIDES[(i + round + SIDES.length) % SIDES.length]!;
        const figures = await ask(PORTS[side], pattern, NAMES);
        if (round >= 0) seen[side].push(figures);
      }
    }
    const rate = (side: Side): number => median(seen[side].map((f) => f.rate));
    const p99 = (side: Side): number => median(seen[side].map((f) => f.p99));
    results.push(
      result(`dns/${name}`, 'queries/s', rate('ours'), Math.max(rate('dnsmasq'), rate('unbound'))),
      result(`dns/${name}-p99`, 'µs', p99('ours'), Math.min(p99('dnsmasq'), p99('unbound'))),
    );
  }
  const { pid } = servers.child;
  await ask(PORTS.ours, 'f%d.crowd.test', CROWD / 2, CROWD / 2); // more than the cache takes
  const before = resident(pid!);
  await ask(PORTS.ours, 'm%d.crowd.test', CROWD, CROWD);
  results.push(result('dns/memory', 'MB', resident(pid!), before));
  return results;
}

interface Figures {
  readonly rate: number;
  readonly p99: number;
}

/** All in one namespace, at ports of their own; ours is returned. */
async function startServers(host: Netns, dir: string, stack: AsyncDisposableStack): Promise<Background> {
  const own = Array.from({ length: NAMES }, (_, i) => [`l${i}.test`, `10.9.${i >> 8}.${i & 255}`] as const);
  const fixed = ['no-resolv', 'no-hosts', 'keep-in-foreground', 'user=', 'group=', 'bind-interfaces', 'pid-file='];
  const dnsmasq = (port: number, lines: readonly string[]): string[] => {
    const file = join(dir, `dnsmasq-${port}`);
    writeFileSync(file, [...fixed, `listen-address=${SERVER}`, `port=${port}`, ...lines, ''].join('\n'));
    return ['dnsmasq', '-C', file];
  };
  const records = Array.from({ length: NAMES }, (_, i) => `host-record=c${i}.test,10.8.${i >> 8}.${i & 255}`);
  const unbound = join(dir, 'unbound');
  writeFileSync(
    unbound,
    [
      'server:',
      ...[`interface: ${SERVER}`, `port: ${PORTS.unbound}`, 'num-threads: 1', 'do-daemonize: no', 'chroot: ""'],
      ...['username: ""', 'pidfile: ""', 'use-syslog: no', `directory: "${dir}"`, 'access-control: 0.0.0.0/0 allow'],
      ...['module-config: "iterator"', 'so-rcvbuf: 0', 'local-zone: "test." nodefault'],
      ...own.flatMap(([name, address]) => [`local-zone: "${name}." static`, `local-data: "${name}. A ${address}"`]),
      ...[
        'remote-control:',
        'control-enable: no',
        'forward-zone:',
        'name: "."',
        `forward-addr: ${SERVER}@${PORTS.source}`,
      ],
      '',
    ].join('\n'),
  );
  stack.use(
    startIn(
      host,
      dnsmasq(PORTS.source, [...records, 'address=/crowd.test/192.0.2.1', 'local-ttl=3600', 'cache-size=0']),
    ),
  );
  const forward = `server=${SERVER}#${PORTS.source}`;
  const hosts = own.map(([name, address]) => `host-record=${name},${address}`);
  stack.use(startIn(host, dnsmasq(PORTS.dnsmasq, [forward, ...hosts, 'cache-size=10000', 'dns-forward-max=1000'])));
  stack.use(startIn(host, ['unbound', '-d', '-c', unbound]));
  const script = fileURLToPath(new URL('../lib/dns-server.ts', import.meta.url));
  // flags as in bin/netloom
  const argv = [process.execPath, '--max-semi-space-size=2', script];
  const ours = stack.use(
    startIn(host, [...argv, SERVER, String(PORTS.ours), `${SERVER}#${PORTS.source}`, String(NAMES)]),
  );
  await until(
    'all servers are there',
    async () => {
      if (!ours.output().includes('ready')) throw new Error(ours.output());
      const listening = await okIn(host, ['ss', '-Hltn']);
      return Object.values(PORTS).every((port) => listening.includes(`:${port} `));
    },
    { timeout: 30_000 },
  );
  return ours;
}

/** @see proc_pid_status(5) VmRSS, in kB */
function resident(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}
