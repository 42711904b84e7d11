import { existsSync, globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BANS, IMPURE, LAYERS } from './layers.ts';

/** The top of the checkout. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

export interface Import {
  /** A path below src/ for what is ours, else the specifier as it stands. */
  readonly to: string;
  /** Erased before anything runs. */
  readonly typeOnly: boolean;
  /** Brings names in, rather than only being run. */
  readonly names: boolean;
  readonly specifier: string;
}

/** Sources by their path below src/, without tests. */
export type Sources = ReadonlyMap<string, string>;

export function readSources(): Sources {
  const files = globSync('**/*.ts', { cwd: ROOT + 'src' }).filter((file) => !file.endsWith('.test.ts'));
  return new Map(files.sort().map((file) => [file, readFileSync(`${ROOT}src/${file}`, 'utf8')]));
}

/** `rtnetlink/link.ts` → `rtnetlink`, `errors.ts` → `errors`. */
export function layerOf(file: string): string {
  return file.replace(/(\/.*|\.ts)$/, '');
}

export function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean, names: boolean): void => {
    const ours = specifier.startsWith('.');
    const to = ours ? posix.normalize(posix.join(posix.dirname(file), specifier)) : specifier;
    found.push({ to, specifier, typeOnly, names });
  };
  for (const m of code.matchAll(/^\s*(?:import|export)\s+(type\s+)?[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm)) {
    add(m[2]!, m[1] !== undefined, true);
  }
  for (const m of code.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm)) add(m[1]!, false, false);
  for (const m of code.matchAll(/(typeof\s+|[:<|,(=]\s*)?\bimport\(\s*['"]([^'"]+)['"]\s*\)(\s*\.\s*[A-Z])?/g)) {
    // typeof import('…') and import('…').Type are types; (await import('…')).value is not
    add(m[2]!, (m[1] ?? '').startsWith('typeof') || m[3] !== undefined, true);
  }
  return found;
}

/** Everything that breaks the rules of layers.ts, as `file: what it does: why it must not`. */
export function violations(sources: Sources): string[] {
  const wrong: string[] = [];
  for (const [file, text] of sources) {
    const layer = LAYERS[layerOf(file)];
    if (!layer) {
      wrong.push(`${file}: a layer that test/architecture/layers.ts does not know: give it a row, with its reason`);
      continue;
    }
    for (const imported of importsOf(file, text)) {
      const problem = importProblem(file, imported, sources);
      if (problem) wrong.push(`${file}: ${problem}`);
    }
    const code = withoutComments(text);
    for (const ban of BANS) {
      if (ban.only && !ban.only.includes(layerOf(file))) continue;
      if (ban.except.some((free) => file.startsWith(free))) continue;
      const hit = ban.pattern.exec(code);
      if (hit) wrong.push(`${file}: has ${hit[0].trim()}: ${ban.why}`);
    }
    if (layer.pure) {
      const way = wayToImpurity(file, sources);
      if (way) wrong.push(`${way.join(' → ')}: ${layerOf(file)} is pure: no I/O, no clock`);
    }
  }
  return wrong;
}

function importProblem(file: string, imported: Import, sources: Sources): string | undefined {
  const { to, specifier } = imported;
  const layer = LAYERS[layerOf(file)]!;
  if (!imported.names)
    return `import '${specifier}' runs something by its side effect: registration is a table in the engine`;
  if (to.startsWith('..')) return `imports ${specifier}: src/ stands on nothing outside itself`;
  if (specifier.startsWith('.')) {
    if (to.endsWith('.test.ts')) return `imports ${specifier}: a test is no part of the product`;
    if (!sources.has(to)) return `imports ${specifier}, which is not there`;
    if (layerOf(to) === layerOf(file)) return undefined;
    if (layer.may.includes(layerOf(to)) || layer.may.includes(to)) return undefined;
    return `imports ${to}: ${layer.why}`;
  }
  const owners = Object.entries(LAYERS).filter(([, { packages = [] }]) => packages.includes(specifier));
  if (owners.length > 0 || !specifier.startsWith('node:')) {
    if (layer.packages?.includes(specifier)) return undefined;
    return `imports ${specifier}: only ${owners.map(([name]) => name).join(', ') || 'nobody'} may bring that in`;
  }
  return undefined;
}

/** The files from `file` to a module that does I/O, over what is there at run time; undefined where there is none. */
function wayToImpurity(file: string, sources: Sources, seen = new Set<string>()): string[] | undefined {
  if (seen.has(file)) return undefined;
  seen.add(file);
  for (const { to, typeOnly } of importsOf(file, sources.get(file) ?? '')) {
    if (typeOnly) continue;
    if (IMPURE.includes(to) || layerOf(to) === 'kernel') return [file, to];
    const rest = sources.has(to) ? wayToImpurity(to, sources, seen) : undefined;
    if (rest) return [file, ...rest];
  }
  return undefined;
}

/** Good enough for sources that are formatted: a comment starts a line, or stands behind a space. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/ .*$/gm, '$1');
}

export function exists(path: string): boolean {
  return existsSync(ROOT + path);
}
export function read(path: string): string {
  return readFileSync(ROOT + path, 'utf8');
}
