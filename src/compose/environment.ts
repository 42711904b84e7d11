import type { Position } from './errors.ts';
import { ENV_FILE_KEYS } from './keys.ts';
import type { Reader } from './reader.ts';
import type { Entry, Tree } from './tree.ts';

/** Where variables of a service come from, the later one winning: files to be read, then the file's own words. */
export type EnvironmentSource =
  | {
      readonly kind: 'file';
      readonly at: Position;
      readonly path: string;
      readonly file: string;
      readonly required: boolean;
      readonly raw: boolean;
    }
  /** A null value is taken from the environment of `up`, and left out where there is none. */
  | { readonly kind: 'values'; readonly values: ReadonlyMap<string, string | null> };

/** Reads `env_file` and `environment`; the files themselves are read by `loadProject`. */
export function readEnvironment(
  reader: Reader,
  files: Entry | undefined,
  values: Entry | undefined,
  path: string,
): EnvironmentSource[] {
  const sources: EnvironmentSource[] = [];
  if (files !== undefined) {
    const { value } = files;
    const items = value.kind === 'list' ? value.items : [value];
    items.forEach((item, index) => {
      const source = readFileSource(
        reader,
        item,
        value.kind === 'list' ? `${path}.env_file[${index}]` : `${path}.env_file`,
      );
      if (source !== undefined) sources.push(source);
    });
  }
  if (values !== undefined) {
    const pairs =
      reader.pairs(values.value, `${path}.environment`) ?? new Map<string, { at: Position; value: string | null }>();
    for (const [name, { at }] of pairs) {
      if (name === '' || name.includes('\0'))
        reader.fail(at, `${path}.environment`, 'a variable has no name', 'write NAME=value');
    }
    sources.push({ kind: 'values', values: new Map([...pairs].map(([name, { value }]) => [name, value])) });
  }
  return sources;
}

function readFileSource(reader: Reader, tree: Tree, path: string): EnvironmentSource | undefined {
  const at = tree.at;
  if (tree.kind !== 'map') {
    const file = reader.string(tree, path);
    return file === undefined ? undefined : { kind: 'file', at, path, file, required: true, raw: false };
  }
  const keys = reader.section(tree, path, ENV_FILE_KEYS, new Set());
  const entry = keys.get('path');
  if (entry === undefined) {
    reader.fail(at, path, 'the name of the file is missing', 'add path');
    return undefined;
  }
  const file = reader.string(entry.value, `${path}.path`);
  const format = keys.get('format');
  const formatName = format === undefined ? '' : reader.string(format.value, `${path}.format`);
  if (formatName !== '' && formatName !== 'raw') {
    reader.fail(format!.value.at, `${path}.format`, `"${formatName}" is no format`, 'write raw, or remove the key');
  }
  const required = keys.get('required');
  return file === undefined
    ? undefined
    : {
        kind: 'file',
        at,
        path,
        file,
        required: required === undefined || reader.boolean(required.value, `${path}.required`) !== false,
        raw: formatName === 'raw',
      };
}
