/**
 * `test-bundle.ts OUT [TEST...]`: what the tests start as processes, netloom itself first, each bundled as tools/bundle.ts
 * does it for the package: to load three hundred sources one by one takes longer than most of what is then done, and in an
 * emulated machine very much longer. OUT is a directory in the checkout; in `OUT/stubs` lie files for the sources' places,
 * which load the bundles (test/lib/in-namespace.sh puts them there). With TESTs, these files likewise.
 *
 * A bundled source finds its own place (`import.meta`) where it would without: below the directory that OUT lies in.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const PROGRAMS = [
  ...['src/cli/main.ts', 'src/cli/called.ts'],
  ...globSync('test/*/*-{child,worker,process,exited}.ts', { cwd: root }),
];

const [out = '', ...tests] = process.argv.slice(2);
const mark = basename(out);
const places: Plugin = {
  name: 'places',
  setup: ({ onLoad }) => {
    const own = globSync(['{src,test,tools,examples}/**/*.ts'], { cwd: root }).filter((path) =>
      readFileSync(join(root, path), 'utf8').includes('import.meta.'),
    );
    const filter = new RegExp(`/(?:${own.map((path) => path.replaceAll('.', '\\.')).join('|')})$`);
    onLoad({ filter }, ({ path }) => ({ contents: placed(path), loader: 'ts' }));
  },
};

function placed(path: string): string {
  const at = JSON.stringify(relative(root, path));
  return readFileSync(path, 'utf8')
    .replaceAll('import.meta.url', `new URL(${at}, __checkout).href`)
    .replaceAll(
      'import.meta.dirname',
      `new URL(${JSON.stringify(relative(root, dirname(path)))}, __checkout).pathname`,
    );
}

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  absWorkingDir: root,
  outbase: '.',
  outExtension: { '.js': '.mjs' },
  legalComments: 'none',
  keepNames: true, // errors are told by the names of their classes
  plugins: [places],
  banner: {
    js: [
      "import { createRequire as __requireOf } from 'node:module'; const require = __requireOf(import.meta.url);",
      `const __checkout = import.meta.url.slice(0, import.meta.url.lastIndexOf('/${mark}/') + 1);`,
    ].join(' '),
  },
  logLevel: 'warning',
};
await Promise.all([
  build({ ...common, entryPoints: PROGRAMS, splitting: true, outdir: out }),
  // in one file each: with what is shared apart, they would be many again
  tests.length === 0 || build({ ...common, entryPoints: tests, outdir: out }),
]);
for (const path of [...PROGRAMS, ...tests]) {
  const stub = join(out, 'stubs', path);
  mkdirSync(dirname(stub), { recursive: true });
  const up = relative(dirname(path), '.');
  writeFileSync(stub, `import '${up}/${mark}/${path.replace(/ts$/, 'mjs')}';\n`);
}
