import { ComposeError, inFileOrder, type Position, type Problem } from './errors.ts';
import type { Lookup } from './interpolate.ts';
import { FILE_KEYS } from './keys.ts';
import { dropResets, mergeTrees } from './merge.ts';
import { type ComposeNetwork, readNetwork } from './network.ts';
import { Reader } from './reader.ts';
import { type ComposeService, readService } from './service.ts';
import { loadTree, type MapTree, type Tree } from './tree.ts';

/** One or several Compose files, merged, read and checked; nothing of it depends on the host. */
export interface ComposeFile {
  /** Top-level `name`; empty where the file has none. */
  readonly name: string;
  readonly networks: readonly ComposeNetwork[];
  /** In the order of the file. */
  readonly services: readonly ComposeService[];
  /** The beginning of the first file, for what has no better place. */
  readonly at: Position;
  readonly warnings: readonly Problem[];
}

/** A file to read, with the name that messages give it. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads Compose files, later ones over earlier ones. `lookup` gives the variables.
 * @throws ComposeError with everything that is wrong, each with file, line and column.
 * @see https://github.com/compose-spec/compose-spec
 */
export async function parseCompose(files: readonly SourceFile[], lookup: Lookup): Promise<ComposeFile> {
  const { tree, warnings } = await mergeFiles(files, lookup);
  const reader = new Reader();
  const ignore = reader.ignore(tree, '', new Set());
  const keys = reader.section(tree, '', FILE_KEYS, ignore);
  const name = keys.get('name');
  const result = {
    name: name === undefined ? '' : (reader.string(name.value, 'name') ?? ''),
    networks: named(reader, keys.get('networks')?.value, 'networks').map(([key, entry]) =>
      readNetwork(reader, key, entry, ignore),
    ),
    services: named(reader, keys.get('services')?.value, 'services').map(([key, entry]) =>
      readService(reader, key, entry, ignore),
    ),
    at: tree.at,
  };
  if (result.services.length === 0)
    reader.fail(tree.at, '', 'there are no services', 'add services with a command each');
  if (name !== undefined) checkProjectName(reader, result.name, name.value.at);
  checkReferences(reader, result.services, result.networks);
  if (reader.problems.length > 0) throw new ComposeError(inFileOrder(reader.problems));
  return { ...result, warnings: [...warnings, ...reader.warnings] };
}

/** The names of project and services alone, however wrong the rest is: all that `down` needs to know. */
export async function parseNames(
  files: readonly SourceFile[],
  lookup: Lookup,
): Promise<{ readonly name: string; readonly services: readonly string[] }> {
  const { tree } = await mergeFiles(files, lookup);
  const name = tree.entries.get('name')?.value;
  const services = tree.entries.get('services')?.value;
  return {
    name: name?.kind === 'scalar' ? name.text : '',
    services: services?.kind === 'map' ? [...services.entries.keys()].filter((key) => !key.startsWith('x-')) : [],
  };
}

/** What Docker Compose allows as a project name, which becomes part of other names. */
export const PROJECT_NAME: RegExp = /^[a-z0-9][a-z0-9_-]*$/;

async function mergeFiles(
  files: readonly SourceFile[],
  lookup: Lookup,
): Promise<{ tree: MapTree; warnings: Problem[] }> {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  let whole: Tree | undefined;
  for (const file of files) {
    const loaded = await loadTree(file.name, file.text, lookup);
    problems.push(...loaded.problems);
    warnings.push(...loaded.warnings);
    const at: Position = { file: file.name, line: 1, column: 1 };
    const empty = loaded.tree === undefined || (loaded.tree.kind === 'scalar' && loaded.tree.value === null);
    if (empty) {
      if (loaded.problems.length === 0)
        problems.push({ at, path: '', message: 'the file is empty', cure: 'add services with a command each' });
    } else if (loaded.tree.kind !== 'map') {
      problems.push({ at: loaded.tree.at, path: '', message: 'expected keys such as services and networks', cure: '' });
    } else {
      whole = whole === undefined ? loaded.tree : mergeTrees(whole, loaded.tree);
    }
  }
  if (problems.length > 0 || whole === undefined) throw new ComposeError(problems);
  return { tree: dropResets(whole) as MapTree, warnings };
}

/** The entries of a section whose keys are names. */
function named(reader: Reader, tree: Tree | undefined, path: string): [string, { keyAt: Position; value: Tree }][] {
  const entries = tree === undefined ? [] : [...(reader.map(tree, path)?.entries ?? [])];
  return entries.filter(([key, entry]) => {
    if (key.startsWith('x-')) return false;
    if (/^[A-Za-z0-9._-]+$/.test(key)) return true;
    reader.fail(
      entry.keyAt,
      `${path}.${key}`,
      `"${key}" is no name`,
      'use letters, digits, dots, dashes and underscores',
    );
    return false;
  });
}

function checkProjectName(reader: Reader, name: string, at: Position): void {
  if (PROJECT_NAME.test(name)) return;
  reader.fail(
    at,
    'name',
    `"${name}" is no project name`,
    'use lower-case letters, digits, dashes and underscores, a letter or digit first',
  );
}

/** Names that must be somewhere else in the file. */
function checkReferences(
  reader: Reader,
  services: readonly ComposeService[],
  networks: readonly ComposeNetwork[],
): void {
  const serviceNames = services.map((service) => service.name);
  const networkKeys = networks.map((network) => network.key);
  for (const service of services) {
    const path = `services.${service.name}`;
    for (const network of service.networks) {
      if (network.key === '' || network.key === 'default' || networkKeys.includes(network.key)) continue;
      const cure = `add it to the file's networks${networkKeys.length === 0 ? '' : ` (there: ${networkKeys.join(', ')})`}`;
      reader.fail(network.at ?? service.at, `${path}.networks`, `there is no network ${network.key}`, cure);
    }
    for (const dependency of service.dependsOn) {
      if (serviceNames.includes(dependency.service) || !dependency.required) continue;
      reader.fail(
        dependency.at,
        `${path}.depends_on`,
        `there is no service ${dependency.service}`,
        `the file has ${serviceNames.join(', ')}`,
      );
    }
    if (service.mode.kind === 'service' && !serviceNames.includes(service.mode.name)) {
      reader.fail(
        service.mode.at,
        `${path}.network_mode`,
        `there is no service ${service.mode.name}`,
        `the file has ${serviceNames.join(', ')}`,
      );
    }
    checkReplicas(reader, service, path);
  }
}

/** What only one container can have. */
function checkReplicas(reader: Reader, service: ComposeService, path: string): void {
  if (service.replicas <= 1) return;
  const fixed = service.networks.find((network) => network.addresses.length > 0 || network.mac !== undefined);
  if (fixed !== undefined) {
    reader.fail(
      fixed.at ?? service.at,
      `${path}.networks`,
      `${service.replicas} containers cannot share one fixed address`,
      'remove the address, or the replicas',
    );
  }
  if (service.containerName !== '') {
    reader.fail(
      service.at,
      `${path}.container_name`,
      `${service.replicas} containers cannot share one name`,
      'remove container_name, or the replicas',
    );
  }
}
