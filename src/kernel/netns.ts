import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fd } from './fd.ts';
import { bindMount, shareMounts, unmount } from './mount.ts';
import { native, syscall, SyscallError } from './native.ts';
import { ERRNO } from './errno.ts';

/** Where `ip netns` keeps its names. @see ip-netns(8) */
export const NETNS_DIR = '/run/netns';

/**
 * Which namespace a path leads to: `4:4026532345`, device and inode; empty where there is none. No two namespaces that
 * live at the same time have the same.
 */
export function netnsId(path: string): string {
  const found = path === '' ? undefined : statSync(path, { throwIfNoEntry: false });
  return found?.dev === nsfsDevice() ? idOf(found) : '';
}
/** Numbers of nsfs are of 32 bits: a `number` holds them. */
function idOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

/** A network namespace, held open by a descriptor. @see network_namespaces(7) */
export class Netns implements Disposable {
  readonly #fd: Fd;
  /** How it was found, for messages: a path, or `pid 42`. */
  readonly label: string;
  #id: string | undefined;

  private constructor(fd: Fd, label: string, id?: string) {
    this.#fd = fd;
    this.label = label;
    this.#id = id;
  }

  /** The namespace that this process runs in. */
  static current(): Netns {
    return Netns.open('/proc/self/ns/net');
  }
  /** @throws SyscallError ENOENT, EACCES; EINVAL when the file is no network namespace. */
  static open(path: string): Netns {
    const fd = new Fd(
      syscall(`namespace ${path}`, () => openSync(path, constants.O_RDONLY)),
      `netns ${path}`,
    );
    try {
      const found = fstatSync(fd.number);
      if (found.dev !== nsfsDevice()) {
        throw new SyscallError(ERRNO.EINVAL, 'open', `${path} is not a network namespace`);
      }
      return new Netns(fd, path, idOf(found));
    } catch (error) {
      fd.close();
      throw error;
    }
  }
  static ofPid(pid: number): Netns {
    return Netns.open(`/proc/${pid}/ns/net`);
  }
  /** Takes over a descriptor that is a namespace already. */
  static ofFd(fd: Fd, label = 'fd'): Netns {
    return new Netns(fd, label);
  }
  /** A fresh namespace that lives as long as this descriptor, or as its pin. */
  static create(): Netns {
    const number = syscall('new network namespace', () => native.netnsCreate());
    return new Netns(new Fd(number, 'netns (new)'), 'new');
  }

  get fd(): number {
    return this.#fd.number;
  }
  /** As `netnsId`. */
  get id(): string {
    return (this.#id ??= idOf(fstatSync(this.fd)));
  }
  /** A number that no other living namespace of this boot has. */
  get inode(): bigint {
    return fstatSync(this.fd, { bigint: true }).ino;
  }

  /**
   * Gives the namespace a name on the file system: a file with the namespace mounted over it, as `ip netns add` does.
   * @throws SyscallError EEXIST when the file is there already.
   */
  pin(path: string): void {
    syscall(`pin ${path}`, () => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      if (dirname(path) === NETNS_DIR) shareMounts(NETNS_DIR);
      closeSync(openSync(path, constants.O_RDONLY | constants.O_CREAT | constants.O_EXCL, 0));
    });
    try {
      bindMount(`/proc/self/fd/${this.fd}`, path);
    } catch (error) {
      unlinkSync(path);
      throw error;
    }
  }
  /** Removes a pin, mounted or left half made; the namespace goes with its last user. ENOENT is no error. */
  static unpin(path: string): void {
    try {
      unmount(path);
    } catch {
      // EINVAL: a file without a mount, which a crash between creating and mounting leaves
    }
    try {
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  close(): void {
    this.#fd.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

let device: number | undefined;
function nsfsDevice(): number {
  if (device === undefined) {
    const fd = openSync('/proc/self/ns/net', constants.O_RDONLY);
    device = fstatSync(fd).dev;
    closeSync(fd);
  }
  return device;
}
