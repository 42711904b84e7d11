import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { Endpoint, EngineApi, PortSpec } from '../../src/model/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { makeHost, type TestHost } from '../../test/lib/host.ts';
import { type Background, startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';

/** A host with a daemon that can be killed and started again, and endpoints with a published port each. */
export interface Resident extends AsyncDisposable {
  readonly host: TestHost;
  readonly api: EngineApi;
  readonly endpoints: readonly Endpoint[];
  /** Namespaces of the endpoints, in their order. */
  readonly spaces: readonly string[];
  /** Ends the daemon: `SIGKILL` at once. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it; milliseconds until it answers. */
  start(): Promise<number>;
}

const FIRST_PORT = 20_000;

/** @param count endpoints, all on one network, a port published by each */
export async function makeResident(count: number): Promise<Resident> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const host = stack.use(await makeHost());
  const socket = join(dirs.root, 'netloom.sock');
  // what is published, which tools/bench.sh has built
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  if (!existsSync(main)) throw new Error(`${main} is not built: run it by npm run bench`);
  // as bin/netloom starts it
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dirs.root, 'cache/netloom/node') };
  const argv = [
    process.execPath,
    '--max-semi-space-size=2',
    '--disable-warning=ExperimentalWarning',
    main,
    'daemon',
    `--socket=${socket}`,
    `--state-dir=${dirs.stateDir}`,
    `--run-dir=${dirs.runDir}`,
  ];
  let daemon: Background | undefined;
  let client: Client | undefined;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    await client?.[Symbol.asyncDispose]();
    client = undefined;
    if (signal === 'SIGKILL') daemon?.child.kill('SIGKILL');
    await daemon?.[Symbol.asyncDispose]();
    daemon = undefined;
  };
  const start = async (): Promise<number> => {
    const begun = performance.now();
    const running = (daemon = startIn(host.netns, argv, { env }));
    client = await until(
      'the daemon answers',
      async () => {
        if (running.child.exitCode !== null) throw new Error(`the daemon ended: ${running.output()}`);
        return await Client.connect(socket);
      },
      { timeout: 30_000, every: 2 },
    );
    await client.version();
    return performance.now() - begun;
  };
  stack.defer(() => end('SIGTERM'));
  await start();

  const spaces: string[] = [];
  const dir = join(dirs.root, 'ns');
  mkdirSync(dir);
  stack.defer(() => {
    for (const path of spaces) Netns.unpin(path);
  });
  await client!.networkCreate({ name: 'bench', subnets: [{ subnet: '10.64.0.0/16' }] });
  const endpoints: Endpoint[] = [];
  const one = async (i: number): Promise<void> => {
    const path = join(dir, String(i));
    using netns = Netns.create();
    netns.pin(path);
    spaces[i] = path;
    const port = (protocol: 'tcp' | 'udp'): PortSpec => ({
      protocol,
      hostPort: FIRST_PORT + i,
      containerPort: 80,
      count: 1,
    });
    // of the first one, datagrams are published, too
    const ports = i === 0 ? [port('tcp'), port('udp')] : [port('tcp')];
    endpoints[i] = (await client!.endpointAttach({ netns: path, network: 'bench', ports })).value;
  };
  for (let done = 0; done < count; done += 50)
    await Promise.all(Array.from({ length: Math.min(50, count - done) }, (_, i) => one(done + i)));
  const kept = stack.move();
  return {
    host,
    get api() {
      return client!;
    },
    endpoints,
    spaces,
    end,
    start,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
