import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lent } from '../../src/daemon/lent.ts';
import { runProgram } from '../../src/daemon/programs.ts';
import type { EngineBed } from './engine.ts';
import { jsonIn, okIn, runIn } from './run.ts';

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

/** What a runtime says to a plugin by its environment, and the directories of a call that does the work by itself. */
export function cniEnv(
  bed: EngineBed,
  verb: string,
  { id = '', netns = '', ifname = 'eth0', env }: Omit<CniCall, 'conf' | 'file'>,
): Record<string, string> {
  return {
    NETLOOM_STATE_DIR: bed.paths.stateDir,
    NETLOOM_RUN_DIR: bed.paths.runDir,
    CNI_COMMAND: verb,
    CNI_CONTAINERID: id,
    CNI_NETNS: netns,
    CNI_IFNAME: ifname,
    CNI_PATH: `${bed.dirs.root}/cni:${PLUGINS}`,
    ...env,
  };
}

/** Calls a plugin as a runtime does: a process, its environment, its input. */
export async function callCni(
  bed: EngineBed,
  base: object,
  verb: string,
  { conf = {}, file = NETLOOM, ...call }: CniCall,
): Promise<CniAnswer> {
  const { status, stdout, stderr } = await runIn(bed.host.netns, [file], {
    env: cniEnv(bed, verb, call),
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

/** What ADD says of a workload on an interface of the host, whose MTU is 1400: on 10.12.0.0/24, of which nobody answers names. */
export async function addOnParent(
  bed: EngineBed,
  driver: 'ipvlan' | 'macvlan',
  mode: string,
): Promise<{
  readonly interfaces: readonly { readonly name: string; readonly mac?: string; readonly mtu?: number }[];
  readonly ips: readonly { readonly gateway?: string }[];
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[];
  readonly parentMac: string;
}> {
  const { netns } = bed.host;
  await okIn(netns, ['ip', 'link', 'add', 'par0', 'mtu', '1400', 'type', 'veth', 'peer', 'name', 'par1']);
  for (const end of ['par0', 'par1']) await okIn(netns, ['ip', 'link', 'set', end, 'up']);
  const [parent] = await jsonIn<[{ address: string }]>(netns, ['ip', '-j', 'link', 'show', 'par0']);
  const { path } = await bed.workload('on-parent');
  const options = { parent: 'par0', [`${driver}_mode`]: mode };
  const base = {
    cniVersion: '1.1.0',
    name: 'lan',
    type: 'netloom',
    driver,
    options,
    subnets: [{ subnet: '10.12.0.0/24' }],
  };
  // in this process: where every processor is emulated, one of Node's takes a minute to begin
  const call = async (verb: string, conf: object = {}): Promise<CniAnswer> => {
    const { status, stdout } = await runProgram({
      program: 'netloom',
      argv: [],
      env: { CNI_COMMAND: verb, CNI_CONTAINERID: 'pod', CNI_NETNS: path, CNI_IFNAME: 'eth0' },
      stdin: JSON.stringify({ ...base, ...conf }),
      open: () => Promise.resolve(lent(bed.engine)),
    });
    return { status, json: (stdout === '' ? {} : JSON.parse(stdout)) as CniAnswer['json'], stderr: '' };
  };
  const added = await call('ADD');
  assert.equal(added.status, 0, JSON.stringify(added.json));
  const result = added.json as Omit<Awaited<ReturnType<typeof addOnParent>>, 'parentMac'> & { dns: object };
  assert.deepEqual(result.dns, {});
  assert.deepEqual((await call('CHECK', { prevResult: added.json })).json, {});
  assert.deepEqual((await call('DEL')).json, {});
  return { ...result, parentMac: parent.address };
}
