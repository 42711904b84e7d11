import { Client } from '../../src/api/client.ts';
import type { Netns } from '../../src/kernel/index.ts';
import type { EngineApi } from '../../src/model/index.ts';
import { writeRootfs } from './image.ts';
import type { RunResult } from './run.ts';
import { enterDistribution, enterSuite, type Inside, type Machine } from './suite.ts';
import { until } from './wait.ts';

/** Busybox, sleeping. */
export const IMAGE = 'busybox';
/** The same, serving /etc at port 80. */
export const SERVER = 'nginx';
/** Where Docker looks for drivers. */
export const PLUGIN_SOCKET = '/run/docker/plugins/netloom.sock';
const SOCKET = '/run/netloom/netloom.sock';

/** A machine with dockerd on it, netloom's daemon as its driver, and an image. */
export interface Dockerd extends AsyncDisposable {
  readonly machine: Machine;
  /** netloom's daemon. */
  readonly api: EngineApi;
  /** `docker` with these words; its output, trimmed. @throws Error with what it said */
  docker(...words: readonly string[]): Promise<string>;
  /** As `docker`, for what may fail. */
  tried(...words: readonly string[]): Promise<RunResult>;
  /** `netloom` with these words; its output. */
  netloom(...words: readonly string[]): Promise<string>;
  /** Resolves when netloom has no endpoint any more: Docker does not wait for the kernel. */
  empty(): Promise<void>;
  /** What runs by now. */
  readonly daemons: { dockerd: Inside; netloom: Inside };
  /** @param meanwhile done once dockerd has begun to load what it had, and before it answers */
  startDockerd(meanwhile?: () => Promise<void>): Promise<void>;
  startNetloom(): Promise<void>;
}

export interface DockerdOptions {
  readonly netns: Netns;
  /** The later suite's dockerd, 28.5, or the distribution's, 20.10. */
  readonly suite: boolean;
  /** More words for dockerd. */
  readonly dockerd?: readonly string[];
  readonly netloom?: readonly string[];
  /** Whether the machine forwards before dockerd starts; default true. */
  readonly forwarding?: boolean;
}
const FORWARDING = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'];

export async function startDocker({ netns, suite, forwarding = true, ...words }: DockerdOptions): Promise<Dockerd> {
  await using undo = new AsyncDisposableStack();
  const machine = undo.use(await (suite ? enterSuite : enterDistribution)({ netns }));
  // of the same release, whatever else this machine has
  const client = '/usr/bin/docker';
  const docker = async (...argv: readonly string[]): Promise<string> => (await machine.ok([client, ...argv])).trimEnd();
  const api = undo.use(new Client(machine.path(SOCKET)));
  const daemons = {} as { dockerd: Inside; netloom: Inside };
  undo.defer(async () => {
    // dockerd first: it takes its containers down, and says so
    await daemons.dockerd?.[Symbol.asyncDispose]();
    await daemons.netloom?.[Symbol.asyncDispose]();
  });
  const startNetloom = async (): Promise<void> => {
    const daemon = machine.start(['netloom', 'daemon', '--docker-socket', PLUGIN_SOCKET, ...(words.netloom ?? [])]);
    daemons.netloom = daemon;
    // it listens for Docker before it does for us
    await until('netloom answers', () => api.version(), { timeout: 30_000 }).catch((error: unknown) => {
      throw new Error(`netloom: ${daemon.output()}`, { cause: error });
    });
  };
  const startDockerd = async (meanwhile?: () => Promise<void>): Promise<void> => {
    const daemon = machine.start(['dockerd', '--storage-driver=overlay2', ...(words.dockerd ?? [])]);
    daemons.dockerd = daemon;
    if (meanwhile) {
      await until('dockerd has begun', () => daemon.output().includes('Loading containers: start'), {
        timeout: 30_000,
      });
      await meanwhile();
    }
    await until('dockerd answers', () => docker('version'), { timeout: 30_000 }).catch((error: unknown) => {
      throw new Error(`dockerd: ${daemon.output()}`, { cause: error });
    });
  };
  // as docs/docker.md has it: Docker's rules drop what others forward where it was Docker that switched forwarding on
  if (forwarding) for (const name of FORWARDING) await machine.ok(['sh', '-c', `echo 1 >/proc/sys/net/${name}`]);
  await startNetloom();
  await startDockerd();
  writeRootfs(machine.path('/tmp/box.tar'));
  const image = (name: string, ...command: readonly string[]): Promise<string> =>
    docker('import', '--change', `CMD ${JSON.stringify(command)}`, '--change', 'ENV PATH=/bin', '/tmp/box.tar', name);
  await image(IMAGE, 'sleep', '1000000');
  await image(SERVER, 'httpd', '-f', '-p', '80', '-h', '/etc');
  const kept = undo.move();
  return {
    machine,
    api,
    docker,
    tried: (...argv) => machine.run([client, ...argv]),
    netloom: (...argv) => machine.ok(['netloom', ...argv]),
    async empty() {
      await until('no endpoint is left', async () => (await api.endpointList()).length === 0);
    },
    daemons,
    startDockerd,
    startNetloom,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
