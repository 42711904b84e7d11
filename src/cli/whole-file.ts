import { renameSync, rmSync } from 'node:fs';

/** Puts a file in its place whole or not at all, over one that is in use as well. @param draft  beside it: nobody's name */
export function putWhole(path: string, draft: string, write: (draft: string) => void): void {
  try {
    write(draft);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
