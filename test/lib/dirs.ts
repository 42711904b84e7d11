import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A store and a runtime directory of a test's own, removed at disposal. */
export interface TestDirs extends Disposable {
  /** Above both; other files of the test may lie here too. */
  readonly root: string;
  readonly stateDir: string;
  readonly runDir: string;
}

/** Paths are short enough for a unix socket (107 bytes). The two directories do not exist yet. */
export function makeDirs(): TestDirs {
  const root = mkdtempSync(join(tmpdir(), 'nl-'));
  return {
    root,
    stateDir: join(root, 'state'),
    runDir: join(root, 'run'),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
