import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { isObject } from './document.ts';
import { checkAttachment, checkNetworkName } from './names.ts';
import { convertResult, readResult } from './result.ts';
import type { CNIResult, Json, NetworkAttachment, RuntimeConf } from './types.ts';

/** Where results are kept if nobody says. */
export const CACHE_DIR = '/var/lib/cni';
const KIND = 'cniCacheV1';

/**
 * What was done, kept until DEL: one file an attachment, of the form and in the place that the reference library has, so
 * that a runtime may go from one library to the other while its containers run.
 */
interface CachedInfo {
  readonly kind: typeof KIND;
  readonly containerId: string;
  /** The configuration's text in base64. */
  readonly config: string;
  readonly ifName: string;
  readonly networkName: string;
  readonly netns?: string;
  readonly cniArgs?: readonly (readonly [string, string])[];
  readonly capabilityArgs?: Json;
  readonly result?: Json;
}

/** @throws CniError 3, 4, 7 where a name could lead elsewhere */
function fileOf(dir: string, network: string, rt: RuntimeConf): string {
  checkNetworkName(network);
  checkAttachment(rt);
  return join(dir, 'results', `${network}-${rt.containerID}-${rt.ifName}`);
}

/** Keeps a result. It is there whole, or not at all. @throws NetloomError ECNICACHE */
export async function cacheAdd(
  dir: string,
  network: string,
  rt: RuntimeConf,
  config: string,
  result: CNIResult | undefined,
): Promise<void> {
  const file = fileOf(dir, network, rt);
  const { args = [], capabilityArgs = {} } = rt;
  const info: CachedInfo = {
    kind: KIND,
    containerId: rt.containerID,
    config: Buffer.from(config).toString('base64'),
    ifName: rt.ifName,
    networkName: network,
    ...(rt.netns !== '' && { netns: rt.netns }),
    ...(args.length > 0 && { cniArgs: args }),
    ...(Object.keys(capabilityArgs).length > 0 && { capabilityArgs }),
    ...(result !== undefined && { result: { ...result } }),
  };
  // outside of results/, whose every file is taken for an attachment
  const draft = join(dir, `.${process.pid}-${rt.containerID}-${rt.ifName}`);
  try {
    await mkdir(join(dir, 'results'), { recursive: true, mode: 0o700 });
    await writeFile(draft, JSON.stringify(info), { mode: 0o600 });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw new NetloomError(
      'ECNICACHE',
      `the result of network "${network}" cannot be kept: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'The attachment is made: DEL takes it away. Give another directory for results (--cache-dir).',
      },
    );
  }
}

/** Forgets a result; one that is not there is forgotten already. */
export async function cacheDel(dir: string, network: string, rt: RuntimeConf): Promise<void> {
  await rm(fileOf(dir, network, rt), { force: true });
}

/** What was kept, or nothing. @throws NetloomError ECNICACHE where it cannot be read as what it should be */
async function cached(dir: string, network: string, rt: RuntimeConf): Promise<Json | undefined> {
  const file = fileOf(dir, network, rt);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const document = parsed(text);
  if (document !== undefined) return document;
  throw new NetloomError('ECNICACHE', `${file} is no JSON object`, { hint: `rm ${file}; then DEL works without it.` });
}

function parsed(text: string): Json | undefined {
  try {
    const document: unknown = JSON.parse(text);
    return isObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

/** The result of ADD in the words of `version`, or nothing. @throws NetloomError ECNICACHE, ECNIRESULT; CniError 7 */
export async function cachedResult(
  dir: string,
  network: string,
  version: string,
  rt: RuntimeConf,
): Promise<CNIResult | undefined> {
  const document = await cached(dir, network, rt);
  if (document === undefined) return undefined;
  // before there were these files, the result itself was what they held
  const result = document['kind'] === KIND ? (document['result'] ?? {}) : document;
  return convertResult(readResult(result, ''), version);
}

/** The configuration of ADD, and `rt` with the arguments of ADD; or nothing. @throws NetloomError ECNICACHE */
export async function cachedConfig(
  dir: string,
  network: string,
  rt: RuntimeConf,
): Promise<{ readonly config: string; readonly runtime: RuntimeConf } | undefined> {
  const document = await cached(dir, network, rt);
  if (document === undefined) return undefined;
  const attachment = attachmentOf(document);
  if (attachment === undefined)
    throw new NetloomError(
      'ECNICACHE',
      `what is kept of network "${network}" is of the kind ${JSON.stringify(document['kind'])}`,
      {
        hint: 'It is of another release of the library, and has no configuration.',
      },
    );
  const { cniArgs, capabilityArgs, config } = attachment;
  return { config, runtime: { ...rt, ...(cniArgs.length > 0 && { args: cniArgs }), capabilityArgs } };
}

/** All that is kept, in the order of the files' names; what cannot be read is left out. */
export async function cachedAttachments(dir: string, containerID: string): Promise<NetworkAttachment[]> {
  const names: string[] = await readdir(join(dir, 'results')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new NetloomError('ECNICACHE', `results cannot be listed: ${error.message}`, { cause: error });
  });
  const found: NetworkAttachment[] = [];
  for (const name of names.toSorted()) {
    if (containerID !== '' && !name.includes(`-${containerID}-`)) continue;
    const text = await readFile(join(dir, 'results', name), 'utf8').catch(() => '');
    const attachment = attachmentOf(parsed(text) ?? {});
    if (attachment === undefined || attachment.network === '' || attachment.ifName === '') continue;
    if (containerID === '' || attachment.containerID === containerID) found.push(attachment);
  }
  return found;
}

function attachmentOf(info: Json): NetworkAttachment | undefined {
  if (info['kind'] !== KIND) return undefined;
  const text = (key: keyof CachedInfo): string => (typeof info[key] === 'string' ? info[key] : '');
  const pairs = Array.isArray(info['cniArgs']) ? (info['cniArgs'] as unknown[]) : [];
  return {
    containerID: text('containerId'),
    network: text('networkName'),
    ifName: text('ifName'),
    config: Buffer.from(text('config'), 'base64').toString(),
    netns: text('netns'),
    cniArgs: pairs.filter(
      (pair): pair is [string, string] =>
        Array.isArray(pair) && pair.length === 2 && pair.every((word) => typeof word === 'string'),
    ),
    capabilityArgs: isObject(info['capabilityArgs']) ? info['capabilityArgs'] : {},
  };
}
