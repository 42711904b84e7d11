/**
 * Runs the one file that tools/bundle.ts makes of called.ts, with the code that an earlier call of the same verb compiled.
 * Node's own cache keeps what is compiled when a file is loaded, and not what is when it is first called: here, nearly all.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

/** The file beside this one; its name has a digest of what is in it, for V8 compares no more than the length. */
declare const CALLED: string;

/** What is called often; everything else shares one file. */
const WORDS = new Set(['netavark', 'netloom-ipam', 'ADD', 'DEL', 'CHECK', 'setup', 'teardown']);

const file = join(dirname(fileURLToPath(import.meta.url)), CALLED);
const cache = cacheFile(process.env);
const cachedData = cache === undefined ? undefined : read(cache);
const script = new Script(`(function (require, __filename) {${readFileSync(file, 'latin1')}\n})`, {
  ...{ filename: file, cachedData },
});
const run = script.runInThisContext() as (require: NodeJS.Require, name: string) => void;
if (cache !== undefined && (cachedData === undefined || script.cachedDataRejected === true)) {
  process.on('exit', () => keep(cache, script.createCachedData()));
}
run(require, file);

/** In the directory that the launcher chose for Node's. Each verb has its own: it compiles what it calls. */
function cacheFile(env: NodeJS.ProcessEnv): string | undefined {
  const { NODE_COMPILE_CACHE: dir, CNI_COMMAND = '', NETLOOM_CALLED_AS = '' } = env;
  if (dir === undefined || dir === '') return undefined;
  const words = [NETLOOM_CALLED_AS, CNI_COMMAND, ...process.argv.slice(2)].filter((word) => WORDS.has(word));
  return join(dir, [CALLED, process.version, process.arch, ...new Set(words)].join('-'));
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Whole or not at all, and whatever an earlier release left goes. That it cannot be kept costs the next call some time. */
function keep(path: string, data: Buffer): void {
  try {
    const dir = dirname(path);
    writeFileSync(`${path}.${process.pid}`, data, { mode: 0o600 });
    renameSync(`${path}.${process.pid}`, path);
    for (const name of readdirSync(dir)) {
      if (name.startsWith('called-') && !name.startsWith(CALLED)) rmSync(join(dir, name), { force: true });
    }
  } catch {
    // read-only, or full
  }
}
