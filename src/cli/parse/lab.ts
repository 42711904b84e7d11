import { readFile } from 'node:fs/promises';
import { NetloomError } from '../../errors.ts';
import { DEFAULT_NAME, labNames, type LabSpec, parseLabFile, Place, plainSpec } from '../../lab/index.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';

/** Which lab. */
export interface LabFlags extends GlobalFlags {
  readonly name?: string;
  readonly dir?: string;
}
export interface LabSpecFlags extends LabFlags {
  readonly file?: string;
  readonly hosts?: number;
  readonly etcd?: number;
}

type Env = Readonly<Record<string, string | undefined>>;
const FILE = 'lab.yaml';

/**
 * The lab that is meant: by its folder or name, NETLOOM_LAB, what the `lab.yaml` here is called, the only one that there
 * is, else `lab`. @throws NetloomError ENOLAB, EAMBIGUOUS
 */
export async function choosePlace(flags: LabFlags, env: Env): Promise<Place> {
  if (flags.dir !== undefined) return Place.at(flags.dir);
  const named = flags.name ?? env['NETLOOM_LAB'] ?? (await specHere())?.name;
  return named === undefined ? onlyLab() : new Place(named);
}

function onlyLab(): Place {
  const names = labNames();
  if (names.length > 1)
    throw new NetloomError('EAMBIGUOUS', `there are the labs ${names.join(', ')}`, { hint: 'Say which: --name NAME.' });
  return new Place(names[0] ?? DEFAULT_NAME);
}

/** What `lab up` is to make, and where. @throws NetloomError ELABFILE, ENOENT; UsageError */
export async function chooseSpec(flags: LabSpecFlags, env: Env): Promise<{ place: Place; spec: LabSpec }> {
  const { file, hosts, etcd } = flags;
  const plain = hosts !== undefined || etcd !== undefined;
  if (file !== undefined && plain)
    throw new UsageError(
      '--hosts and --etcd say what a lab without a file has',
      'Write it into the file, or leave --file out.',
    );
  const name = flags.name ?? env['NETLOOM_LAB'];
  const found = plain ? undefined : await (file === undefined ? specHere() : specIn(file));
  const at = (spec: LabSpec): { place: Place; spec: LabSpec } => ({ place: new Place(spec.name, flags.dir), spec });
  if (found) return at(name === undefined ? found : { ...found, name });
  if (!plain) {
    const place =
      name === undefined && flags.dir === undefined ? onlyLab() : new Place(name ?? DEFAULT_NAME, flags.dir);
    const record = place.read();
    if (record) return at(record.spec);
  }
  return at(
    plainSpec({
      ...(name !== undefined && { name }),
      ...(hosts !== undefined && { hosts }),
      // hosts are to share networks, as a rule
      etcd: etcd ?? 1,
    }),
  );
}

async function specIn(file: string): Promise<LabSpec> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw error;
    throw new NetloomError('ENOENT', `there is no lab file ${file}`, { hint: 'Give its path with --file.' });
  }
  return await parseLabFile(file, text);
}

async function specHere(): Promise<LabSpec | undefined> {
  try {
    return await specIn(FILE);
  } catch (error) {
    if (error instanceof NetloomError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** `--hosts`. @throws UsageError */
export function parseHosts(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 100) return Number(text);
  throw new UsageError(`"${text}" is no number of hosts`, 'It is 1 to 100.');
}
/** `--etcd`. @throws UsageError */
export function parseMembers(text: string): number {
  if (/^[0135]$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is no number of members for etcd`, 'It is 1, 3 or 5, or 0 for none.');
}
