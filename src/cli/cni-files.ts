import { lstatSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NetloomError } from '../errors.ts';
import { isShim, type ShimSettings } from './shim-file.ts';
import { putWhole } from './whole-file.ts';

/** What `cni install` puts in place, and `cni uninstall` takes away. */
export const PLUGINS = ['netloom', 'netloom-ipam'] as const;

/** Whose a path is: nobody's, ours as it should be, ours with other content, or somebody else's. */
export type Owner = 'none' | 'same' | 'ours' | 'foreign';

/** What became of a file. */
export interface Change {
  readonly path: string;
  readonly done: 'installed' | 'replaced' | 'unchanged' | 'removed' | 'absent' | 'kept';
}

/** The launcher of this installation. @param main  the file that this program was started by */
export function launcher(main: string): string {
  return join(dirname(realpathSync(main)), '../../bin/netloom');
}

/** The configuration for a network, as templates/netloom.conflist has it. */
export function conflist(network: string, subnets: readonly string[] = []): string {
  const file = fileURLToPath(new URL('../../templates/netloom.conflist', import.meta.url));
  const { plugins, ...list } = JSON.parse(readFileSync(file, 'utf8')) as Conflist;
  const filled = plugins.map(({ type, ...fields }) => ({
    type,
    ...(subnets.length > 0 && { subnets: subnets.map((subnet) => ({ subnet })) }),
    ...fields,
  }));
  return `${JSON.stringify({ ...list, name: network, plugins: filled }, undefined, 2)}\n`;
}
interface Conflist {
  readonly plugins: readonly ({ readonly type: string } & Readonly<Record<string, unknown>>)[];
}

/** Whether a configuration is one that `conflist` made, whatever network it is for. */
export function ownerOfConf(path: string, wanted?: string): Owner {
  const text = readFile(path)?.toString();
  if (text === undefined) return exists(path) ? 'foreign' : 'none';
  if (text === wanted) return 'same';
  try {
    const { name, plugins } = JSON.parse(text) as { name: string; plugins: { subnets?: { subnet: string }[] }[] };
    return conflist(
      name,
      plugins[0]?.subnets?.map(({ subnet }) => subnet),
    ) === text
      ? 'ours'
      : 'foreign';
  } catch {
    return 'foreign';
  }
}

/** Ours are copies of the shim, and links to the launcher. */
export function ownerOfPlugin(path: string, settings: ShimSettings): Owner {
  const bytes = readFile(path);
  if (bytes === undefined) return exists(path) ? 'foreign' : 'none';
  if (lstatSync(path).isSymbolicLink())
    return realpathSync(path) === realpathSync(settings.program) ? 'ours' : 'foreign';
  if (!isShim(bytes)) return 'foreign';
  return isShim(bytes, settings) ? 'same' : 'ours';
}

export function putConf(path: string, text: string): void {
  // no extension that a runtime looks for
  putWhole(path, `${path}.${process.pid}`, (draft) => writeFileSync(draft, text, { mode: 0o644, flag: 'wx' }));
}

/** @throws NetloomError ECONFLICT when one is somebody else's */
export function refuseForeign(owners: readonly (readonly [path: string, owner: Owner])[], verb: string): void {
  const foreign = owners.filter(([, owner]) => owner === 'foreign').map(([path]) => path);
  if (foreign.length === 0) return;
  throw new NetloomError('ECONFLICT', `not ours: ${foreign.join(', ')}`, {
    hint: `Nothing was ${verb}. --force does it all the same; --name, --bin-dir and --conf-dir choose other places.`,
  });
}

function readFile(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EISDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}
function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
