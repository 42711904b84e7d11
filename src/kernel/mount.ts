import { ERRNO } from './errno.ts';
import { native, syscall, type SyscallError } from './native.ts';

/** Shows `source`, a file or folder, at `target` as well. @throws SyscallError ENOENT, EPERM. @see mount(2) */
export function bindMount(source: string, target: string): void {
  syscall(`mount ${source} on ${target}`, () => native.mount(source, target, 'none', MS_BIND));
}

/** Takes away the topmost mount, at once; open files live on. @throws SyscallError EINVAL where nothing is mounted. */
export function unmount(target: string): void {
  syscall(`unmount ${target}`, () => native.umount(target));
}

/**
 * Makes `dir` a shared mount point of its own, so that what is mounted below shows in every mount namespace.
 * @see ip-netns(8), which does so with /run/netns; mount_namespaces(7)
 */
export function shareMounts(dir: string): void {
  try {
    syscall(`share ${dir}`, () => native.mount('', dir, 'none', MS_SHARED | MS_REC));
  } catch (error) {
    if ((error as SyscallError).errno !== ERRNO.EINVAL) throw error; // EINVAL: not a mount point yet
    syscall(`mount ${dir} on itself`, () => native.mount(dir, dir, 'none', MS_BIND | MS_REC));
    syscall(`share ${dir}`, () => native.mount('', dir, 'none', MS_SHARED | MS_REC));
  }
}

/** linux/mount.h */
const MS_BIND = 4096;
const MS_REC = 16384;
const MS_SHARED = 1 << 20;
