export { ERRNO, errnoName } from './errno.ts';
export { Fd, openDescriptors } from './fd.ts';
export { native, SyscallError, syscall, typedError } from './native.ts';
export { Netns, NETNS_DIR } from './netns.ts';
