import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineBed } from './engine.ts';
import { runIn } from './run.ts';

const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

/** The plugins of the CNI project, as the machine has them. */
export const PLUGINS = '/usr/lib/cni';

export interface CniAnswer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}
export interface CniCall {
  readonly id?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stands in the configuration over the caller's; a text is all of it. */
  readonly conf?: object | string;
  /** Another plugin's file than netloom's. */
  readonly file?: string;
}

/** Calls a plugin as a runtime does: a process, its environment, its input. */
export async function callCni(
  bed: EngineBed,
  base: object,
  verb: string,
  { id = '', netns = '', ifname = 'eth0', env, conf = {}, file = NETLOOM }: CniCall,
): Promise<CniAnswer> {
  const { status, stdout, stderr } = await runIn(bed.host.netns, [file], {
    env: {
      NETLOOM_STATE_DIR: bed.paths.stateDir,
      NETLOOM_RUN_DIR: bed.paths.runDir,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_PATH: `${bed.dirs.root}/cni:${PLUGINS}`,
      ...env,
    },
    input: typeof conf === 'string' ? conf : JSON.stringify({ ...base, ...conf }),
  });
  let json: CniAnswer['json'];
  try {
    json = stdout === '' ? {} : (JSON.parse(stdout) as CniAnswer['json']);
  } catch {
    assert.fail(`${verb}: status ${status}, no JSON: ${stdout} ${stderr}`);
  }
  return { status: status ?? -1, json, stderr };
}

/** Puts a file that runs netloom under another name into the directory where plugins are looked for first. */
export function installAs(bed: EngineBed, name: string): void {
  const directory = join(bed.dirs.root, 'cni');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\nNETLOOM_CALLED_AS=${name} exec ${NETLOOM} "$@"\n`);
  chmodSync(file, 0o755);
}
