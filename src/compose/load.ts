import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { NetloomError } from '../errors.ts';
import { parseEnvFile } from './dotenv.ts';
import type { EnvironmentSource } from './environment.ts';
import { ComposeError, type Problem } from './errors.ts';
import type { Lookup } from './interpolate.ts';
import { parseCompose, parseNames, PROJECT_NAME, type SourceFile } from './parse.ts';
import { buildProject, type Project, projectNameOf } from './project.ts';

/** Which project: what `up`, `down`, `ps` and `logs` share. */
export interface ProjectSource {
  /** Later ones over earlier ones. Empty: compose.yaml, compose.yml, docker-compose.yaml or .yml of the folder. */
  readonly files: readonly string[];
  readonly projectName?: string;
  /** Relative paths in the file start here, and `.env` lies here. Default: the first file's folder. */
  readonly projectDirectory?: string;
  readonly profiles?: readonly string[];
  /** Default: `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface LoadedProject {
  readonly project: Project;
  readonly warnings: readonly Problem[];
}

/**
 * Reads the files, `.env` and every `env_file`, and builds the project.
 * @throws ComposeError; NetloomError ENOENT when a file is missing, EENVFILE.
 */
export async function loadProject(
  source: ProjectSource & { readonly services?: readonly string[] },
): Promise<LoadedProject> {
  const place = await readFiles(source);
  const file = await parseCompose(place.files, place.lookup);
  const problems: Problem[] = [];
  const environments = new Map<string, Record<string, string>>();
  for (const service of file.services) {
    environments.set(service.name, await readEnvironments(service.environment, place, problems));
  }
  if (problems.length > 0) throw new ComposeError(problems);
  const profiles =
    source.profiles ??
    place
      .lookup('COMPOSE_PROFILES')
      ?.split(',')
      .filter((name) => name !== '') ??
    [];
  const project = buildProject(file, {
    name: chooseName(source, place, file.name),
    directory: place.directory,
    files: place.files.map((item) => resolve(item.name)),
    environments,
    profiles,
    ...(source.services === undefined ? {} : { services: source.services }),
  });
  return { project, warnings: file.warnings };
}

/** The name and the services of a project, even of one whose file has other faults. */
export async function loadNames(
  source: ProjectSource,
): Promise<{ readonly name: string; readonly services: readonly string[] }> {
  const place = await readFiles(source);
  const names = await parseNames(place.files, place.lookup);
  return { name: chooseName(source, place, names.name), services: names.services };
}

interface Place {
  readonly files: readonly SourceFile[];
  readonly directory: string;
  readonly lookup: Lookup;
}

/** In the order in which Docker Compose looks for them. */
const DEFAULT_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];
const OVERRIDES = [
  'compose.override.yaml',
  'compose.override.yml',
  'docker-compose.override.yaml',
  'docker-compose.override.yml',
];

async function readFiles(source: ProjectSource): Promise<Place> {
  const files =
    source.files.length > 0
      ? await Promise.all(source.files.map(readSource))
      : await findFiles(source.projectDirectory ?? '.');
  const directory = resolve(source.projectDirectory ?? dirname(files[0]!.name));
  const outer = source.environment ?? process.env;
  const dotenv = await readOptional(join(directory, '.env'));
  const values =
    dotenv === undefined ? undefined : parseEnvFile(dotenv, join(directory, '.env'), (name) => outer[name]);
  return { files, directory, lookup: (name) => outer[name] ?? values?.get(name) };
}

async function readSource(name: string): Promise<SourceFile> {
  const text = await readOptional(name);
  if (text === undefined)
    throw new NetloomError('ENOENT', `there is no Compose file ${name}`, { hint: 'give its path with -f' });
  return { name, text };
}

async function findFiles(directory: string): Promise<SourceFile[]> {
  const first = await firstOf(directory, DEFAULT_FILES);
  if (first === undefined) {
    const hint = `looked for ${DEFAULT_FILES.join(', ')}; give the path with -f`;
    throw new NetloomError('ENOENT', `there is no Compose file in ${resolve(directory)}`, { hint });
  }
  const override = await firstOf(directory, OVERRIDES);
  return override === undefined ? [first] : [first, override];
}

async function firstOf(directory: string, names: readonly string[]): Promise<SourceFile | undefined> {
  for (const name of names) {
    const path = join(directory, name);
    const text = await readOptional(path);
    if (text !== undefined) return { name: path, text };
  }
  return undefined;
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new NetloomError(code ?? 'EIO', `cannot read ${path}: ${code ?? String(error)}`, { cause: error });
  }
}

function chooseName(source: ProjectSource, place: Place, fromFile: string): string {
  const given = source.projectName ?? place.lookup('COMPOSE_PROJECT_NAME') ?? '';
  const name = given === '' ? (fromFile === '' ? projectNameOf(place.directory) : fromFile) : given;
  if (PROJECT_NAME.test(name)) return name;
  const message = name === '' ? `the folder ${place.directory} gives no project name` : `"${name}" is no project name`;
  throw new NetloomError('EPROJECTNAME', message, {
    hint: 'use lower-case letters, digits, dashes and underscores, a letter or digit first: -p NAME, or name: in the file',
  });
}

async function readEnvironments(
  sources: readonly EnvironmentSource[],
  place: Place,
  problems: Problem[],
): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const source of sources) {
    if (source.kind === 'file') {
      const path = isAbsolute(source.file) ? source.file : join(place.directory, source.file);
      const text = await readOptional(path);
      if (text !== undefined)
        Object.assign(result, Object.fromEntries(source.raw ? rawEnv(text) : parseEnvFile(text, path, place.lookup)));
      else if (source.required) {
        problems.push({
          at: source.at,
          path: source.path,
          message: `there is no file ${path}`,
          cure: 'create it, or write required: false',
        });
      }
      continue;
    }
    for (const [name, value] of source.values) {
      const found = value ?? place.lookup(name);
      if (found !== undefined) result[name] = found;
    }
  }
  return result;
}

/** `format: raw`: every line as it is, no quotes, no variables. */
function rawEnv(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.includes('=') && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
