import { readdirSync } from 'node:fs';
import { Netns } from '../../src/kernel/index.ts';
import { openEmbeddedStore } from '../../src/store/index.ts';
import type { EngineBed } from './engine.ts';
import { namesIn, wholeOf } from './snapshot.ts';

/** The kernel, the store and the files. */
export async function everythingOf(bed: EngineBed): Promise<unknown> {
  const spaces: Record<string, unknown> = {};
  for (const name of namesIn(bed.paths.netnsDir)) {
    using netns = Netns.open(`${bed.paths.netnsDir}/${name}`);
    spaces[name] = await wholeOf(netns, { macOf: () => true });
  }
  await using store = await openEmbeddedStore(bed.paths);
  return {
    host: await wholeOf(bed.host.netns, { macOf: () => true }),
    spaces,
    store: await store.read((tx) => tx.list('')),
    // beside locks, and those that SQLite makes and removes as it likes
    files: (readdirSync(bed.dirs.root, { recursive: true }) as string[])
      .filter((name) => !/-(wal|shm|journal)$|^run\/locks/.test(name))
      .sort(),
  };
}
