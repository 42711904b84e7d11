/**
 * node tools/complete-lock.ts: adds to package-lock.json the builds for other processors and systems that the registry
 * at hand does not carry. Run it after every `npm install` that changes the lock. Without them, `npm ci` calls the lock
 * out of step with package.json, although it would install none of them.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockedPackage> };
const added: string[] = [];
for (const [path, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
  if (path === '') continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const key = `node_modules/${name}`;
    if (key in lock.packages) continue;
    lock.packages[key] = { version, ...(dev ? { dev } : {}), optional: true, ...platformOf(name) };
    added.push(`${name}@${version}`);
  }
}
const [root, ...others] = Object.entries(lock.packages);
others.sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries([root!, ...others]);
if (added.length > 0) writeFileSync(file, JSON.stringify(lock, null, 2) + '\n');
console.log(added.length > 0 ? `added ${added.join(', ')}` : 'nothing is missing');

/** `@oxlint/binding-linux-arm64-musl` → linux, arm64, musl: how such packages are named everywhere. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const [os, cpu, abi = ''] = name.replace(/^.*\//, '').replace('binding-', '').split('-');
  if (os === undefined || cpu === undefined) throw new Error(`${name}: which platform is that for?`);
  const libc = os !== 'linux' ? '' : abi.startsWith('musl') ? 'musl' : abi.startsWith('gnu') ? 'glibc' : '';
  return { os: [os], cpu: [cpu], ...(libc ? { libc: [libc] } : {}) };
}
