import { existsSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { release } from 'node:os';
import type { VersionInfo } from '../../model/index.ts';
import { API_VERSION, VERSION } from '../../version.ts';
import { directories, exitCommand, publishedPorts, socketPath } from '../connect.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags, InspectFlags } from '../flags.ts';
import { printInspect, printJson, printLine } from '../output/print.ts';

/** What `version` says where no daemon runs, without opening the engine: nothing of the machine is touched. */
function ownVersion(): VersionInfo {
  return {
    version: VERSION,
    apiVersion: API_VERSION,
    node: process.versions.node,
    kernel: release(),
    mode: 'in-process',
  };
}

export async function version(this: CliContext, flags: InspectFlags): Promise<void> {
  const info = (await daemonVersion(flags, this.io.env)) ?? ownVersion();
  if (flags.json === true) printJson(this, info);
  else if (flags.format !== undefined) {
    const view = {
      Version: info.version,
      ApiVersion: info.apiVersion,
      Node: info.node,
      Kernel: info.kernel,
      Mode: info.mode,
    };
    printInspect(this, flags, [view], (record) => record);
  } else {
    printLine(this, `netloom ${info.version}`);
    printLine(this, `API      ${info.apiVersion}`);
    printLine(this, `Node     ${info.node}`);
    printLine(this, `kernel   ${info.kernel}`);
    printLine(this, `engine   ${info.mode === 'daemon' ? 'the daemon' : 'in this process'}`);
  }
}

async function daemonVersion(flags: GlobalFlags, env: CliContext['io']['env']): Promise<VersionInfo | undefined> {
  const socket = socketPath(flags, env);
  if (!existsSync(socket)) return undefined;
  const { Client } = await import('../../api/client.ts');
  const client = await Client.connect(socket).catch(() => undefined);
  if (client === undefined) return undefined;
  await using api = client;
  return await api.version();
}

export interface DaemonFlags extends GlobalFlags {
  readonly logLevel?: string;
  readonly group?: string;
  readonly metricsListen?: string;
  readonly dockerSocket?: string;
  readonly dockerScope?: 'local' | 'global';
  readonly publishedPorts?: 'obey' | 'open';
}

export async function daemon(this: CliContext, flags: DaemonFlags): Promise<void> {
  const choice = publishedPorts(flags.publishedPorts, this.io.env); // before anything is opened
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { runDir } = directories(flags, this.io.env);
  await runDaemon({
    socketPath: socketPath(flags, this.io.env),
    ...(runDir === undefined ? {} : { runDir }),
    ...(flags.logLevel === undefined ? {} : { logLevel: flags.logLevel }),
    ...(flags.group === undefined ? {} : { group: flags.group }),
    ...(flags.metricsListen === undefined ? {} : { metricsListen: flags.metricsListen }),
    ...(flags.dockerSocket === undefined ? {} : { dockerSocket: flags.dockerSocket }),
    ...(flags.dockerScope === undefined ? {} : { dockerScope: flags.dockerScope }),
    engine: async (log) => {
      const { openEngine } = await import('../../engine/index.ts');
      const engine = await openEngine({
        ...directories(flags, this.io.env),
        exitCommand: exitCommand(flags, this.io.env, this.io.program),
        ...choice,
        mode: 'daemon',
        resident: true,
        // with a thousand endpoints it takes as long as all the rest of the start; what is wrong is soon put right
        comparison: 'behind',
      });
      const { finished, failed, repaired } = engine.recovery;
      for (const what of finished) log.warn({ what }, 'put an end to what an engine that died had begun');
      for (const what of failed) log.error({ what }, 'could not be put right');
      for (const { verb, fact } of repaired) log.warn({ verb, kind: fact.kind, object: fact.object }, 'repaired');
      // else it is kept at an orderly end only, and every start until then compiles everything again
      flushCompileCache();
      return engine;
    },
  });
}

export async function completion(this: CliContext, _flags: GlobalFlags, shell: string): Promise<void> {
  const { completionScript } = await import('../completion.ts');
  this.io.stdout.write(completionScript(shell as 'bash' | 'zsh' | 'fish'));
}

/** Hidden: what the completion scripts ask. */
export async function complete(this: CliContext, flags: GlobalFlags, ...words: string[]): Promise<void> {
  const { candidates } = await import('../complete.ts');
  for (const line of await candidates(words, this.io, flags)) printLine(this, line);
}

/** Hidden: docs/cli.md is made by it. */
export async function docs(this: CliContext): Promise<void> {
  const { COMMANDS } = await import('../commands/index.ts');
  const { renderDocs } = await import('../docs.ts');
  this.io.stdout.write(renderDocs(COMMANDS));
}
