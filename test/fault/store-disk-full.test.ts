import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirs } from '../lib/dirs.ts';

const module = JSON.stringify(join(import.meta.dirname, '../../src/store/embedded.ts'));

/** Runs `body` in a mount namespace of its own, where `run` and `state` under `root` are file systems of so many kilobytes. */
function inSmallPlaces(sizes: { readonly state?: number; readonly run?: number }, body: string): void {
  using dirs = makeDirs();
  const mounts = Object.entries(sizes).map(([name, size]) => {
    mkdirSync(join(dirs.root, name));
    return `mount -t tmpfs -o size=${size}k none ${join(dirs.root, name)}`;
  });
  const file = join(dirs.root, 'body.ts');
  writeFileSync(
    file,
    `import assert from 'node:assert/strict';
     import { execFileSync } from 'node:child_process';
     import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
     import { openEmbeddedStore } from ${module};
     const [root, stateDir, runDir] = ${JSON.stringify([dirs.root, dirs.stateDir, dirs.runDir])};
     const open = () => openEmbeddedStore({ stateDir, runDir });
     /** Leaves so many bytes free. */
     function fill(dir, leave) {
       const { bavail, bsize } = statfsSync(dir);
       writeFileSync(dir + '/filler', Buffer.alloc(Math.max(0, bavail * bsize - leave), 1));
     }
     const all = (store) => store.read(async (tx) => Object.fromEntries((await tx.list('')).map(({ key, value }) => [key, value])));
     const big = 'x'.repeat(300000);
     ${body}`,
  );
  execFileSync(
    'unshare',
    ['-m', '--propagation', 'private', 'sh', '-ec', `${mounts.join('\n')}\nexec "$@"`, 'sh', process.execPath, file],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  rmSync(file);
}

const works = `
  rmSync(full + '/filler');
  await store.transact((tx) => { tx.put('networks/b', 2); tx.put('endpoints/b', 2); });
  assert.deepEqual(await all(store), { 'networks/a': 1, 'endpoints/a': 1, 'networks/b': 2, 'endpoints/b': 2 });
`;

for (const [full, sizes, file] of [
  ['stateDir', { state: 1000 }, 'netloom.db'],
  ['runDir', { run: 1000 }, 'runtime.db'],
] as const) {
  test(`full under the ${file}: ENOSPC with its path, nothing changed, and it works again with room`, () => {
    inSmallPlaces(
      sizes,
      `const full = ${full};
       await using store = await open();
       await store.transact((tx) => { tx.put('networks/a', 1); tx.put('endpoints/a', 1); });
       const revision = await store.revision();
       fill(full, 16384);
       const enospc = { code: 'ENOSPC', message: /no space left.*${file}; nothing was changed/ };
       // Both files in one, so that one of them has room and the other has not.
       for (let i = 0; i < 5; i++) {
         await assert.rejects(store.transact((tx) => {
           tx.put('networks/a', 'changed' + i); tx.put('networks/c', ${full === 'stateDir' ? 'big' : '1'});
           tx.put('endpoints/a', 'changed' + i); tx.put('endpoints/c', ${full === 'runDir' ? 'big' : '1'});
         }), enospc);
       }
       assert.deepEqual(await all(store), { 'networks/a': 1, 'endpoints/a': 1 });
       assert.equal(await store.revision(), revision);
       {
         await using other = await open();
         assert.deepEqual(await all(other), { 'networks/a': 1, 'endpoints/a': 1 });
       }
       ${works}`,
    );
  });

  test(`full before ${file} exists: ENOSPC, and it opens with room`, () => {
    inSmallPlaces(
      sizes,
      `fill(${full}, 0);
       await assert.rejects(open(), { code: 'ENOSPC', message: /${full === 'stateDir' ? 'netloom' : 'runtime'}/ });
       rmSync(${full} + '/filler');
       await using store = await open();
       await store.transact((tx) => tx.put('networks/a', 1));`,
    );
  });

  test(`read-only under ${file}: one clear line`, () => {
    inSmallPlaces(
      sizes,
      `execFileSync('mount', ['-o', 'remount,bind,ro', ${full}]);
       await assert.rejects(open(), { code: 'EACCES', message: /${file}.*cannot be written/ });
       execFileSync('mount', ['-o', 'remount,bind,rw', ${full}]);
       { await using store = await open(); }
       execFileSync('mount', ['-o', 'remount,bind,ro', ${full}]);
       await assert.rejects(async () => {
         await using store = await open();
         await store.transact((tx) => { tx.put('networks/a', 1); tx.put('endpoints/a', 1); });
       }, { code: 'EACCES', message: /${file}.*cannot be written/ });`,
    );
  });
}
