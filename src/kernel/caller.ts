import { Fd } from './fd.ts';
import { native, syscall } from './native.ts';

/** Whoever connected to a unix socket, as the kernel knows it since then. @see unix(7) SO_PEERCRED */
export interface Caller {
  /** The connection; does not block. */
  readonly fd: Fd;
  readonly pid: number;
  /** As this process's user namespace counts; 65534 (the overflow id) for a user that it does not know. */
  readonly uid: number;
}

/** A socket that listens at `path`, for its owner alone (mode 0600) from the first instant. @throws SyscallError EADDRINUSE, ENAMETOOLONG */
export function listenForCallers(path: string, backlog = 4096): Fd {
  return new Fd(
    syscall(`listen on ${path}`, () => native.unixListen(path, backlog)),
    `listen on ${path}`,
  );
}

/** The next one that waits. @throws SyscallError EMFILE, ENFILE, ENOBUFS, ENOMEM */
export function acceptCaller(listener: Fd): Caller | undefined {
  const number = syscall('accept', () => native.unixAccept(listener.number, who));
  if (number < 0) return undefined;
  return { fd: new Fd(number, 'caller'), pid: who[0]!, uid: who[1]! >>> 0 };
}
const who = new Int32Array(2);

/**
 * The first of what a caller says, and the descriptor that it handed over with it, if any.
 * @returns undefined while there is nothing; no bytes where it has ended. @throws SyscallError ECONNRESET
 */
export function receiveFirst(caller: Fd): { readonly bytes: Buffer; readonly passed?: Fd } | undefined {
  const size = syscall('receive', () => native.unixReceive(caller.number, scratch, passed));
  if (size < 0) return undefined;
  const bytes = Buffer.from(scratch.subarray(0, size));
  return passed[0]! < 0 ? { bytes } : { bytes, passed: new Fd(passed[0]!, 'passed by a caller') };
}
const scratch: Buffer = Buffer.allocUnsafeSlow(65_536);
const passed = new Int32Array(1);
