import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirs } from '../lib/dirs.ts';

/** Runs `body` in a process of its own with a store open; how often that process synced a file, by strace(1). */
function syncs(body: string): number {
  using dirs = makeDirs();
  const log = join(dirs.root, 'strace');
  const program = `
    import { openEmbeddedStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/embedded.ts'))};
    const store = await openEmbeddedStore(${JSON.stringify({ stateDir: dirs.stateDir, runDir: dirs.runDir })});
    ${body}
    process.exit();`;
  execFileSync('strace', [
    '-f',
    '-o',
    log,
    '-e',
    'trace=fsync,fdatasync,sync_file_range,msync,syncfs',
    process.execPath,
    '--input-type=module',
    '-e',
    program,
  ]);
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /\b(fsync|fdatasync|sync_file_range|msync|syncfs)\(/.test(line)).length;
}

const opening = syncs('');

test('what only the run needs is never synced, however much it is', () => {
  const attach = `for (let i = 0; i < 800; i++) {
    await store.transact((tx) => { tx.create('leases/n/' + i, { i }); tx.put('endpoints/' + i, { padding: 'x'.repeat(1000) }); });
    await store.read((tx) => tx.get('networks/n'));
  }`;
  assert.equal(syncs(attach), opening);
});

test('a network is on the disk when its transaction has ended: one sync each', () => {
  const define =
    "for (let i = 0; i < 10; i++) await store.transact((tx) => { tx.put('networks/' + i, i); tx.put('endpoints/' + i, i); });";
  const count = syncs(define) - opening;
  // SQLite syncs once more when it begins its write-ahead log.
  assert.ok(count >= 10 && count <= 12, `${count} syncs for 10 networks`);
});
