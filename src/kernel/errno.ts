import { constants } from 'node:os';

const names = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  // EAGAIN and EWOULDBLOCK, EOPNOTSUPP and ENOTSUP share numbers: keep the kernel's own name
  if (!names.has(number) || name === 'EAGAIN' || name === 'EOPNOTSUPP') names.set(number, name);
}
// what Node's table leaves out
const more = { EXFULL: 54, ENOTUNIQ: 76, EBADFD: 77, ERESTART: 85, EPFNOSUPPORT: 96, ENOMEDIUM: 123 } as const;
for (const [name, number] of Object.entries(more)) names.set(number, name);

/** The symbolic name of a positive errno: `17` → `EEXIST`. @see errno(3) */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${errno}`;
}

/** asm-generic/errno.h; the numbers that code compares with. */
export const ERRNO: typeof constants.errno = constants.errno;
