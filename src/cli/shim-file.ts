import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { builtProgram } from '../kernel/built.ts';
import { putWhole } from './whole-file.ts';

/** What a copy of the shim (native/call.c) is to know by itself. */
export interface ShimSettings {
  /** Path of the launcher, which it becomes where no daemon listens. */
  readonly program: string;
  /** Path of the daemon's call socket. */
  readonly socket: string;
}

/** `settings` of native/call.c: where they begin, and the bytes that each text has, its NUL included. */
const MARK = 'netloom-call settings, 1:';
const MARK_SIZE = 32;
const PROGRAM_SIZE = 1024;
/** sun_path of unix(7). */
const SOCKET_SIZE = 108;
const SOCKET_SLOT = 128;

/**
 * Writes a copy of the shim that knows its program and its socket: whole or not at all, over one that runs as well.
 * @throws NetloomError ENOSHIM, EBADOPTION for what does not fit; and what writing raises
 */
export function writeShim(path: string, settings: ShimSettings): void {
  const bytes = withSettings(settings);
  putWhole(path, join(dirname(path), `.netloom-call.${process.pid}`), (draft) => {
    writeFileSync(draft, bytes, { mode: 0o755, flag: 'wx' });
    chmodSync(draft, 0o755); // whatever the mask
  });
}

function withSettings({ program, socket }: ShimSettings): Buffer {
  const bytes = readFileSync(builtProgram('netloom-call'));
  const at = bytes.indexOf(MARK);
  if (at < 0 || bytes.indexOf(MARK, at + 1) >= 0)
    throw new NetloomError('ENOSHIM', 'the shim of calls is of another version', {
      hint: 'build it: sh native/build.sh',
    });
  put(bytes, at + MARK_SIZE, PROGRAM_SIZE, PROGRAM_SIZE, program);
  put(bytes, at + MARK_SIZE + PROGRAM_SIZE, SOCKET_SLOT, SOCKET_SIZE, socket);
  return bytes;
}

function put(bytes: Buffer, at: number, size: number, most: number, text: string): void {
  const given = Buffer.from(text);
  if (!text.startsWith('/') || given.includes(0) || given.length >= most) {
    throw new NetloomError('EBADOPTION', `${JSON.stringify(text)} is no whole path of less than ${most} bytes`);
  }
  bytes.fill(0, at, at + size);
  given.copy(bytes, at);
}

/** Whether these are the bytes of a copy of the shim, of any version; with `settings`, of the one built here with these. */
export function isShim(bytes: Buffer, settings?: ShimSettings): boolean {
  if (settings === undefined) return bytes.includes(MARK.slice(0, MARK.indexOf(',')));
  return bytes.equals(withSettings(settings));
}
