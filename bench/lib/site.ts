import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { Endpoint, EngineApi, PortSpec } from '../../src/model/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { makeHost } from '../../test/lib/host.ts';
import { startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';

/** A host with an engine on it, one network, and namespaces to attach. */
export interface Site extends AsyncDisposable {
  readonly api: EngineApi;
  readonly host: Netns;
  /** Where the daemon answers calls of programs; empty in-process. */
  readonly calls: string;
  /** The daemon's process; this one's, in-process. */
  readonly pid: number;
  /** Makes namespaces beforehand, so that making them is not what is measured. */
  prepare(count: number): void;
  /** Attaches a prepared namespace. */
  attach(ports?: readonly PortSpec[]): Promise<Endpoint>;
}

/** A port as `-p` says it. */
export function port(hostPort: number, count = 1): PortSpec {
  return { protocol: 'tcp', hostPort, containerPort: hostPort, count };
}

/** @param options of the network */
export async function makeSite(
  kind: 'in-process' | 'daemon' = 'in-process',
  options: Readonly<Record<string, string>> = {},
): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const host = stack.use(await makeHost());
  const { stateDir, runDir } = dirs;

  let api: EngineApi;
  let pid = process.pid;
  if (kind === 'in-process') {
    api = stack.use(await openEngine({ stateDir, runDir, netns: Netns.open(`/proc/self/fd/${host.netns.fd}`) }));
  } else {
    const socket = join(dirs.root, 'netloom.sock');
    // what is published, which tools/bench.sh has built: a checkout's sources cost the compiler's memory too; flags as in bin/netloom
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const options = [`--socket=${socket}`, `--state-dir=${stateDir}`, `--run-dir=${runDir}`];
    const daemon = stack.use(
      startIn(host.netns, [process.execPath, '--max-semi-space-size=2', main, 'daemon', ...options]),
    );
    const connect = async (): Promise<Client | undefined> => {
      if (daemon.child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.output()}`);
      return await Client.connect(socket);
    };
    api = stack.use(await until('the daemon answers', connect, { timeout: 20_000 }));
    pid = daemon.child.pid!;
  }
  await api.networkCreate({ name: 'bench', subnets: [{ subnet: '10.64.0.0/16' }], options });

  const free: string[] = [];
  let made = 0;
  const namespaces = join(dirs.root, 'ns');
  mkdirSync(namespaces);
  stack.defer(() => {
    for (let i = 0; i < made; i++) Netns.unpin(join(namespaces, String(i)));
  });
  const kept = stack.move();
  return {
    api,
    pid,
    calls: kind === 'daemon' ? join(dirs.root, 'call.sock') : '',
    host: host.netns,
    prepare: (count) => {
      for (; count > 0; count--) {
        const path = join(namespaces, String(made++));
        using netns = Netns.create();
        netns.pin(path);
        free.push(path);
      }
    },
    attach: async (ports = []) => {
      const netns = free.pop();
      if (netns === undefined) throw new Error('prepare() namespaces first');
      return (await api.endpointAttach({ netns, network: 'bench', ports })).value;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
