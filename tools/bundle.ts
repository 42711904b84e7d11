/**
 * `bundle.ts DIST`: the programs with everything that they need, packages included. `DIST/cli/main.js` in a few files, one
 * for what every command loads and one for each part that is imported when it is wanted: loading three hundred modules one
 * by one is half of the time in which a daemon starts. `DIST/cli/called.cjs`, which is over in less than a tenth of a second,
 * in one, and a second that starts it with code compiled before (src/cli/called-cached.ts).
 */
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const [dist = 'dist'] = process.argv.slice(2);
const outdir = join(dist, 'cli');
rmSync(outdir, { recursive: true });
const common = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  legalComments: 'none', // the notices are written below, whole
  metafile: true,
  logLevel: 'warning',
} as const;
const single = {
  ...common,
  outdir,
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // Node's own modules by `require`: a script has no other way
  supported: { 'dynamic-import': false },
  banner: { js: "const _self = require('node:url').pathToFileURL(__filename).href;" },
} as const;
const called = await build({
  ...single,
  entryPoints: ['src/cli/called.ts'],
  entryNames: '[name]-[hash]',
  minifyWhitespace: true,
  minifySyntax: true,
  define: { 'import.meta.url': '_self' },
});
const [name] = Object.keys(called.metafile.outputs).map((path) => basename(path));
await build({
  ...single,
  entryPoints: { called: 'src/cli/called-cached.ts' },
  define: { 'import.meta.url': '_self', CALLED: JSON.stringify(name) },
});
const { metafile } = await build({
  ...common,
  entryPoints: ['src/cli/main.ts'],
  outdir,
  splitting: true,
  format: 'esm',
  // packages in CommonJS ask for Node's own modules by `require`, which a module has not
  banner: { js: "import { createRequire as _of } from 'node:module'; const require = _of(import.meta.url);" },
});

const packages = new Set<string>();
for (const input of Object.keys(metafile.inputs)) {
  const [, path] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
  if (path !== undefined) packages.add(path);
}
writeFileSync(
  join(dist, 'NOTICES'),
  [...packages]
    .sort()
    .map(notice)
    .join(`\n${'-'.repeat(80)}\n\n`),
);

/** Name, version and license of a package that became part of the program. */
function notice(path: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
  const [file] = globSync('{LICENSE,LICENCE,license,licence}*', { cwd: path });
  if (file === undefined && license === undefined) throw new Error(`${name} says nothing about its license`);
  const text = file === undefined ? `License: ${license}\n` : readFileSync(join(path, file), 'utf8');
  return `${name} ${version}\n\n${text.trim()}\n`;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}
