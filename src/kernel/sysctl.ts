import { NetloomError, UnsupportedError } from '../errors.ts';
import { ERRNO } from './errno.ts';
import { native, syscall, SyscallError } from './native.ts';
import type { Netns } from './netns.ts';

/**
 * A kernel parameter as the namespace sees it, without the newline at its end.
 * @throws UnsupportedError when there is none of that name; SyscallError EACCES
 */
export function readSysctl(netns: Netns | undefined, key: string): string {
  return access(key, undefined, (path) => native.fileIn(netns?.fd ?? -1, path, undefined)!).trimEnd();
}

/** @throws UnsupportedError when there is none of that name; SyscallError EINVAL, EACCES, EROFS */
export function writeSysctl(netns: Netns | undefined, key: string, value: string | number): void {
  access(key, value, (path) => native.fileIn(netns?.fd ?? -1, path, String(value)));
}

/**
 * The file of a key. Whichever of `.` and `/` comes first separates its parts; the other stands for a dot inside a
 * name: `net.ipv4.conf.eth0/1.forwarding`, `net/ipv4/conf/eth0.1/forwarding`. @see sysctl(8)
 * @throws NetloomError EINVAL
 */
export function sysctlPath(key: string): string {
  const separator = /[./]/.exec(key)?.[0] ?? '.';
  const parts = key.split(separator).map((part) => (separator === '.' ? part.replaceAll('/', '.') : part));
  if (parts.length < 2 || parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw new NetloomError('EINVAL', `${JSON.stringify(key)} is not the name of a sysctl`, {
      hint: 'write it as sysctl(8) does: net.ipv4.ip_forward, net.ipv4.conf.eth0/1.forwarding',
    });
  }
  return `/proc/sys/${parts.join('/')}`;
}

function access<T>(key: string, value: string | number | undefined, call: (path: string) => T): T {
  const path = sysctlPath(key);
  const what = value === undefined ? `sysctl ${key}` : `sysctl ${key}=${value}`;
  try {
    return syscall(what, () => call(path));
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) {
      throw new UnsupportedError(`sysctl ${key}`, 'the kernel was built without it, or its interface is not there', {
        cause: error,
      });
    }
    const denied: readonly number[] = [ERRNO.EACCES, ERRNO.EPERM, ERRNO.EROFS];
    if (error instanceof SyscallError && value !== undefined && denied.includes(error.errno)) {
      throw new SyscallError(error.errno, error.syscall, what, {
        cause: error,
        hint: 'it takes CAP_NET_ADMIN over the namespace, and a /proc/sys that is not mounted read-only',
      });
    }
    throw error;
  }
}

/** A file of `/proc/net`, such as `snmp`, as a namespace sees it. @throws SyscallError ENOENT */
export function readProcNet(netns: Netns | undefined, name: string): string {
  // `self` would be the namespace of the process's first thread, whatever thread reads
  const path = `/proc/thread-self/net/${name}`;
  return syscall(`/proc/net/${name}`, () => native.fileIn(netns?.fd ?? -1, path, undefined)!);
}
