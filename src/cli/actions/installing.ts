import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Change, launcher, type Owner } from '../cni-files.ts';
import { socketPath } from '../connect.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags } from '../flags.ts';
import { printJson, printLine } from '../output/print.ts';
import type { ShimSettings } from '../shim-file.ts';

/** What the shim of this installation knows. */
export function shimSettings({ io }: CliContext, flags: GlobalFlags): ShimSettings {
  return {
    program: launcher(io.program),
    socket: join(dirname(resolve(socketPath(flags, io.env))), 'call.sock'),
  };
}

/** Has a file written, and the directory for it, unless it is as it should be. @param owner  whose it was */
export function putInPlace(path: string, owner: Owner, write: () => void): Change {
  mkdirSync(dirname(path), { recursive: true });
  if (owner !== 'same') write();
  return { path, done: owner === 'same' ? 'unchanged' : owner === 'none' ? 'installed' : 'replaced' };
}

/** Takes a file away; somebody else's is kept but by force. */
export function takeAway(path: string, owner: Owner, { force }: { readonly force?: boolean }): Change {
  const keep = owner === 'foreign' && force !== true;
  if (owner !== 'none' && !keep) rmSync(path);
  return { path, done: owner === 'none' ? 'absent' : keep ? 'kept' : 'removed' };
}

export function report(context: CliContext, flags: GlobalFlags, changes: readonly Change[]): void {
  if (flags.json === true) printJson(context, changes);
  else for (const { path, done } of changes) printLine(context, `${done} ${path}`);
}
