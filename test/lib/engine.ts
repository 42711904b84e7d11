import { type Engine, type EngineOptions, openEngine, type Paths } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs, type TestDirs } from './dirs.ts';
import { type HostOptions, makeHost, type TestHost } from './host.ts';
import { ipBatch } from './run.ts';
import { namesIn } from './snapshot.ts';

/** A test's own machine with an engine on it. Names of namespaces and /etc/netns lie in the test's own directories. */
export interface EngineBed extends AsyncDisposable {
  readonly host: TestHost;
  readonly dirs: TestDirs;
  readonly engine: Engine;
  readonly paths: Paths;
  /** Another engine on the same host and store. */
  open(options?: EngineOptions): Promise<Engine>;
  /** A namespace beside the host's, with a path; for endpoints of bare namespaces. */
  workload(name: string): Promise<{ readonly netns: Netns; readonly path: string }>;
}

export async function makeEngineBed(
  hostOptions: HostOptions = {},
  engineOptions: EngineOptions = {},
): Promise<EngineBed> {
  await using undo = new AsyncDisposableStack();
  const dirs = undo.use(makeDirs());
  const host = undo.use(await makeHost(hostOptions));
  const netnsDir = `${dirs.root}/netns`;
  const paths: Paths = {
    stateDir: dirs.stateDir,
    runDir: dirs.runDir,
    netnsDir,
    etcNetnsDir: `${dirs.root}/etc-netns`,
  };
  const open = (options: EngineOptions = {}): Promise<Engine> =>
    // the engine closes the descriptor that it is given
    openEngine({ ...paths, netns: Netns.open(`/proc/self/fd/${host.netns.fd}`), ...engineOptions, ...options });
  // names that a failed test left are mounts, and would keep the directories from being removed
  undo.defer(() => {
    for (const name of namesIn(netnsDir)) Netns.unpin(`${netnsDir}/${name}`);
  });
  const engine = undo.use(await open());
  const kept = undo.move();
  return {
    host,
    dirs,
    engine,
    paths,
    open,
    async workload(name) {
      const netns = kept.use(Netns.create());
      const path = `${netnsDir}/${name}`;
      netns.pin(path);
      await ipBatch(netns, ['link set lo up']);
      return { netns, path };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
