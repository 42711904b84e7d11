import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Background, start } from './run.ts';
import { until } from './wait.ts';

/** An etcd of the test's own on loopback: its ports are of the test's namespace, its data goes with it. */
export interface Etcd extends AsyncDisposable {
  readonly endpoints: readonly string[];
  /** By `etcdctl`, at all members. */
  ctl(...words: readonly string[]): Promise<string>;
  kill(member: number, signal?: NodeJS.Signals): Promise<void>;
  signal(member: number, signal: NodeJS.Signals): void;
  start(member: number): void;
}

interface EtcdSetup {
  readonly members?: number;
  /** Of the server: `--cert-file=…`. */
  readonly flags?: readonly string[];
  readonly scheme?: 'http' | 'https';
  /** Of etcdctl. */
  readonly ctl?: readonly string[];
}

/** One that nobody has; whoever asked for port 0 before gets another. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export async function startEtcd({ members = 1, flags = [], scheme = 'http', ctl = [] }: EtcdSetup = {}): Promise<Etcd> {
  await using undo = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), 'etcd-'));
  undo.defer(() => rmSync(dir, { recursive: true, force: true }));
  const ports: { client: number; peer: number }[] = [];
  for (let i = 0; i < members; i++) ports.push({ client: await freePort(), peer: await freePort() });
  const cluster = ports.map(({ peer }, i) => `m${i}=http://127.0.0.1:${peer}`).join();
  const running: (Background | undefined)[] = [];
  const begin = (i: number): void => {
    const { client, peer } = ports[i]!;
    running[i] = start(
      [
        'etcd',
        ...[`--name=m${i}`, `--data-dir=${join(dir, String(i))}`, '--unsafe-no-fsync', '--log-level=warn'],
        ...[
          `--listen-client-urls=${scheme}://127.0.0.1:${client}`,
          `--advertise-client-urls=${scheme}://127.0.0.1:${client}`,
        ],
        ...[`--listen-peer-urls=http://127.0.0.1:${peer}`, `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`],
        ...[`--initial-cluster=${cluster}`, '--heartbeat-interval=50', '--election-timeout=500', ...flags],
      ],
      { env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
    );
  };
  undo.defer(async () => {
    for (const each of running) await each?.[Symbol.asyncDispose]();
  });
  ports.forEach((_, i) => begin(i));
  const endpoints = ports.map(({ client }) => `${scheme}://127.0.0.1:${client}`);
  const run = async (...words: readonly string[]): Promise<string> => {
    const argv = ['etcdctl', `--endpoints=${endpoints.join()}`, '--command-timeout=5s', ...ctl, ...words];
    const child = start(argv, { env: { ...process.env, ETCDCTL_API: '3' } });
    const [code] = (await once(child.child, 'close')) as [number];
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${child.output()}`);
    return child.output();
  };
  await until('etcd answers', async () => (await run('get', 'x'), true), { timeout: 20_000 }).catch(
    (error: unknown) => {
      throw new Error(running.map((each) => each?.output()).join('\n'), { cause: error });
    },
  );
  const kept = undo.move();
  return {
    endpoints,
    ctl: run,
    async kill(member, signal = 'SIGKILL') {
      const { child } = running[member]!;
      const gone = once(child, 'close');
      child.kill(signal);
      await gone;
      running[member] = undefined;
    },
    signal(member, signal) {
      running[member]!.child.kill(signal);
    },
    start: begin,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
