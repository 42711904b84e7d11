import { existsSync } from 'node:fs';
import { NetloomError } from '../../errors.ts';
import {
  CNIConfig,
  type CNIResult,
  confListFromBytes,
  convertResult,
  listConfs,
  loadNetworkConf,
  type NetworkConfigList,
  type RuntimeConf,
} from '../../libcni/index.ts';
import type { CliContext } from '../context.ts';
import { ManyErrors, UsageError } from '../errors.ts';
import { capabilities, printAttachments, printNetworks, printResult } from '../output/cni.ts';
import { printJson, printLine } from '../output/print.ts';
import { withProgress } from '../output/progress.ts';
import { attachmentOf, confDir, pluginDirs } from '../parse/cni.ts';
import type { AttachmentFlags, PlaceFlags } from '../parse/cni-words.ts';
import { stopSignal } from '../stop-signal.ts';

export async function add(this: CliContext, flags: AttachmentFlags, name: string, netns: string): Promise<void> {
  const list = loadNetworkConf(confDir(flags, this.io.env), name);
  const rt = attachmentOf(flags, this.io.env, netns);
  warnUndeclared(this, list, rt);
  if (!existsSync(rt.netns))
    throw new NetloomError('EBADNETNS', `there is no namespace ${rt.netns}`, {
      hint: netns.includes('/') ? 'ip netns add NAME makes one.' : `ip netns add ${netns} makes it.`,
    });
  const result = await call(this, flags, `adding ${netns} to ${name}`, (cni, signal) =>
    cni.addNetworkList(list, rt, { signal }),
  );
  show(this, flags, result);
}

export async function check(this: CliContext, flags: AttachmentFlags, name: string, netns: string): Promise<void> {
  const asked = attachmentOf(flags, this.io.env, netns);
  await call(this, flags, `checking ${netns}`, async (cni, signal) => {
    const { list, rt } = await as(cni, this, flags, name, asked);
    if ((await cni.getNetworkListCachedResult(list, rt)) === undefined)
      throw new NetloomError('ECNICACHE', `nothing is kept of ${rt.ifName} of ${rt.containerID} on "${name}"`, {
        hint: 'CHECK needs the result of ADD: was it another runtime, another --cache-dir or --container-id?',
      });
    await cni.checkNetworkList(list, rt, { signal });
  });
  done(this, flags, name, asked, `${asked.ifName} is on ${name} as it was added`);
}

export async function del(this: CliContext, flags: AttachmentFlags, name: string, netns: string): Promise<void> {
  const asked = attachmentOf(flags, this.io.env, netns);
  await call(this, flags, `deleting ${netns} from ${name}`, async (cni, signal) => {
    const { list, rt } = await as(cni, this, flags, name, asked);
    await cni.delNetworkList(list, existsSync(rt.netns) ? rt : { ...rt, netns: '' }, { signal });
  });
  done(this, flags, name, asked, `${asked.ifName} is off ${name}`);
}

export interface GcFlags extends PlaceFlags {
  readonly keep?: readonly { readonly containerID: string; readonly ifname: string }[];
  readonly all?: boolean;
}

export async function gc(this: CliContext, flags: GcFlags, name: string): Promise<void> {
  if (flags.all === true && flags.keep !== undefined)
    throw new UsageError('--all keeps nothing, and --keep something', 'Give one of the two.');
  const list = loadNetworkConf(confDir(flags, this.io.env), name);
  if (list.disableGC) throw new NetloomError('ECNICONFIG', `the configuration of "${name}" wants no GC (disableGC)`);
  const removed = await call(this, flags, `collecting ${name}`, async (cni, signal) => {
    const kept = (await cni.getCachedAttachments()).filter(({ network }) => network === name);
    const valid =
      flags.keep ??
      kept
        .filter(({ netns }) => flags.all !== true && existsSync(netns))
        .map(({ containerID, ifName }) => ({ containerID, ifname: ifName }));
    await cni.gcNetworkList(list, { validAttachments: valid }, { signal });
    const left = new Set((await cni.getCachedAttachments()).map(keyOf));
    return kept.filter((each) => !left.has(keyOf(each)));
  });
  if (flags.json === true) {
    printJson(
      this,
      removed.map(({ containerID, ifName, netns }) => ({ network: name, containerID, ifName, netns })),
    );
  } else for (const { containerID, ifName } of removed) printLine(this, `${containerID}:${ifName}`);
}

function keyOf({ network, containerID, ifName }: { network: string; containerID: string; ifName: string }): string {
  return `${network}:${containerID}:${ifName}`;
}

export async function status(this: CliContext, flags: PlaceFlags, ...names: string[]): Promise<void> {
  await each(this, flags, names, async (cni, list, signal) => {
    await cni.getStatusNetworkList(list, { signal });
    const old = !/^1\.[1-9]/.test(list.cniVersion);
    return {
      document: { network: list.name, ready: old ? null : true },
      line: `${list.name}: ${old ? `cannot be said before version 1.1.0 (${list.cniVersion})` : 'ready'}`,
    };
  });
}

export async function validate(this: CliContext, flags: PlaceFlags, ...names: string[]): Promise<void> {
  await each(this, flags, names, async (cni, list, signal) => {
    const known = await cni.validateNetworkList(list, { signal });
    const types = list.plugins.map(({ network }) => network.type);
    return {
      document: { network: list.name, cniVersion: list.cniVersion, plugins: types, capabilities: known },
      line: `${list.name}: ${types.join(', ')} speak ${list.cniVersion || '0.1.0'}`,
    };
  });
}

export interface LsFlags extends PlaceFlags {
  readonly attachments?: boolean;
}

export async function ls(this: CliContext, flags: LsFlags): Promise<void> {
  if (flags.attachments === true) {
    const kept = await runtimeOf(this, flags).getCachedAttachments();
    if (flags.json === true) printJson(this, kept);
    else printAttachments(this, kept);
    return;
  }
  const entries = listConfs(confDir(flags, this.io.env));
  const rows = entries.flatMap(({ file, list }) => (list === undefined ? [] : [{ file, list }]));
  for (const { error } of entries)
    if (error !== undefined) this.io.stderr.write(`netloom: warning: ${error.message}\n`);
  if (flags.json === true) {
    const plain = rows.map(({ file, list }) => ({
      name: list.name,
      cniVersion: list.cniVersion,
      plugins: list.plugins.map(({ network }) => network.type),
      capabilities: capabilities(list),
      file,
    }));
    printJson(this, plain);
  } else printNetworks(this, rows);
}

function runtimeOf({ io }: CliContext, flags: PlaceFlags): CNIConfig {
  const { socket, stateDir, runDir } = flags;
  return new CNIConfig(pluginDirs(flags, io.env), {
    ...(flags.cacheDir !== undefined && { cacheDir: flags.cacheDir }),
    exec: {
      // netloom's own plugin hears of the flags of every command as it can
      env: {
        ...io.env,
        ...(socket !== undefined && { NETLOOM_SOCKET: socket }),
        ...(stateDir !== undefined && { NETLOOM_STATE_DIR: stateDir }),
        ...(runDir !== undefined && { NETLOOM_RUN_DIR: runDir }),
      },
      ...(flags.timeout !== undefined && { timeout: flags.timeout * 1000 }),
      stderr: (text, plugin) => io.stderr.write(`netloom: plugin ${plugin} says: ${text}\n`),
    },
  });
}

/** ^C ends the plugin that runs, and says so. */
async function call<T>(
  context: CliContext,
  flags: PlaceFlags,
  what: string,
  work: (cni: CNIConfig, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using stop = stopSignal();
  return await withProgress(context.io, what, work(runtimeOf(context, flags), stop.signal));
}

/** What is to be checked or deleted, as it was added: arguments that nobody gives are those of ADD, and so is a configuration that is gone. */
async function as(
  cni: CNIConfig,
  context: CliContext,
  flags: PlaceFlags,
  name: string,
  asked: RuntimeConf,
): Promise<{ readonly list: NetworkConfigList; readonly rt: RuntimeConf }> {
  const kept = (await cni.getCachedAttachments(asked.containerID)).find(
    ({ network, ifName }) => network === name && ifName === asked.ifName,
  );
  const rt: RuntimeConf =
    kept === undefined ? asked : { args: kept.cniArgs, capabilityArgs: kept.capabilityArgs, ...asked };
  try {
    return { list: loadNetworkConf(confDir(flags, context.io.env), name), rt };
  } catch (error) {
    if (kept === undefined || !(error instanceof NetloomError) || error.code !== 'ECNINONETWORK') throw error;
    return { list: confListFromBytes(kept.config), rt };
  }
}

/** The same for each network of those named, or of all: each is tried. */
async function each(
  context: CliContext,
  flags: PlaceFlags,
  names: readonly string[],
  work: (
    cni: CNIConfig,
    list: NetworkConfigList,
    signal: AbortSignal,
  ) => Promise<{ readonly document: object; readonly line: string }>,
): Promise<void> {
  const dir = confDir(flags, context.io.env);
  const errors: unknown[] = [];
  const lists: NetworkConfigList[] = [];
  if (names.length === 0) {
    for (const { list, error } of listConfs(dir)) {
      if (list !== undefined) lists.push(list);
      if (error !== undefined) errors.push(error);
    }
  }
  for (const name of names) {
    try {
      lists.push(loadNetworkConf(dir, name));
    } catch (error) {
      errors.push(error);
    }
  }
  const results: object[] = [];
  for (const list of lists) {
    try {
      const { document, line } = await call(context, flags, list.name, (cni, signal) => work(cni, list, signal));
      results.push(document);
      if (flags.json !== true) printLine(context, line);
    } catch (error) {
      errors.push(...(error instanceof AggregateError ? (error.errors as unknown[]) : [error]));
    }
  }
  if (errors.length > 0) throw new ManyErrors(errors, results);
  if (flags.json === true) printJson(context, results);
}

function show(context: CliContext, flags: PlaceFlags, result: CNIResult): void {
  if (flags.json === true) return printJson(context, result);
  const old = result.cniVersion === '0.1.0' || result.cniVersion === '0.2.0';
  printResult(context, old ? convertResult(result, '1.1.0') : result);
}

function done(context: CliContext, flags: PlaceFlags, network: string, rt: RuntimeConf, line: string): void {
  const { containerID, ifName, netns } = rt;
  if (flags.json === true) printJson(context, { network, containerID, ifName, netns });
  else printLine(context, line);
}

/** What no plugin declares reaches none: said, since whoever publishes a port wants to know. */
function warnUndeclared({ io }: CliContext, list: NetworkConfigList, { capabilityArgs = {} }: RuntimeConf): void {
  const known = capabilities(list);
  for (const name of Object.keys(capabilityArgs))
    if (!known.includes(name))
      io.stderr.write(
        `netloom: warning: no plugin of "${list.name}" declares the capability ${name}: none is told of it\n`,
      );
}
