/**
 * An initial file system for a kernel: the "newc" form of cpio, as Documentation/driver-api/early-userspace/buffer-format.rst
 * has it.
 */

/** A file's bytes and what may be done with it; directories above it come by themselves. */
export interface ArchiveFile {
  readonly data: Uint8Array | string;
  /** Permission bits; default 0644. */
  readonly mode?: number;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

/** The archive with these files, by path without a leading slash; an entry `undefined` is an empty directory. */
export function archive(files: Readonly<Record<string, ArchiveFile | undefined>>): Buffer {
  const parts: Uint8Array[] = [];
  let inode = 0;
  const add = (path: string, mode: number, data: Uint8Array): void => {
    inode += 1;
    // magic, then 13 fields of eight hexadecimal digits; the name counts its final NUL
    const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, Buffer.byteLength(path) + 1, 0];
    const head = Buffer.from(`070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}${path}\0`);
    parts.push(head, padding(head.length), data, padding(data.length));
  };
  const made = new Set<string>();
  const directory = (path: string): void => {
    if (path === '' || made.has(path)) return;
    directory(parent(path));
    made.add(path);
    add(path, S_IFDIR | 0o755, new Uint8Array());
  };
  for (const [path, file] of Object.entries(files)) {
    directory(file ? parent(path) : path);
    if (file) add(path, S_IFREG | (file.mode ?? 0o644), Buffer.from(file.data as string));
  }
  add('TRAILER!!!', 0, new Uint8Array());
  return Buffer.concat(parts);
}

function parent(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
