import { UnsupportedError } from '../errors.ts';
import { ERRNO } from './errno.ts';
import { Fd } from './fd.ts';
import { native, syscall, SyscallError } from './native.ts';
import type { Netns } from './netns.ts';

/** How a TUN or TAP device carries packets. @see Documentation/networking/tuntap.rst */
export interface TunOptions {
  /** `tun` carries IP packets, `tap` Ethernet frames. */
  readonly mode: 'tun' | 'tap';
  /** Another call with the same name adds a queue. */
  readonly multiQueue?: boolean;
  /** Leaves out the four bytes of flags and protocol before each packet. Default true. */
  readonly noPi?: boolean;
  /** Puts a struct virtio_net_hdr before each packet. */
  readonly vnetHdr?: boolean;
  /** Who may open it again, a uid. */
  readonly owner?: number;
}

/**
 * Creates a TUN or TAP device in a namespace, or opens one that is there; it goes with its descriptor unless it was
 * made persistent. `name` may be a pattern such as `tun%d`: `tunName` says what became of it.
 * @throws SyscallError EBUSY (in use, or of the other mode), EPERM, EINVAL; UnsupportedError without /dev/net/tun
 */
export function tunCreate(netns: Netns | undefined, name: string, options: TunOptions): Fd {
  let flags = options.mode === 'tun' ? IFF.TUN : IFF.TAP;
  if (options.multiQueue) flags |= IFF.MULTI_QUEUE;
  if (options.noPi ?? true) flags |= IFF.NO_PI;
  if (options.vnetHdr) flags |= IFF.VNET_HDR;
  const what = `${options.mode} device ${name}`;
  try {
    return new Fd(
      syscall(what, () => native.tunCreate(netns?.fd ?? -1, name, flags, options.owner ?? -1)),
      what,
    );
  } catch (error) {
    const missing: readonly number[] = [ERRNO.ENOENT, ERRNO.ENODEV, ERRNO.ENXIO];
    if (error instanceof SyscallError && error.syscall === 'open' && missing.includes(error.errno)) {
      throw new UnsupportedError('/dev/net/tun', 'the module tun makes it: modprobe tun', { cause: error });
    }
    throw error;
  }
}

/** The name of the device behind a descriptor of `tunCreate`. @throws SyscallError EBADFD when it is gone. */
export function tunName(fd: Fd): string {
  return syscall('name of a TUN device', () => native.tunName(fd.number));
}

/** Lets the device stay when its descriptors are closed, or takes that back. @throws SyscallError EBADFD when it is gone. */
export function tunPersist(fd: Fd, on: boolean): void {
  syscall('persistence of a TUN device', () => native.tunPersist(fd.number, on ? 1 : 0));
}

/** linux/if_tun.h */
const IFF = { TUN: 0x1, TAP: 0x2, MULTI_QUEUE: 0x100, NO_PI: 0x1000, VNET_HDR: 0x4000 } as const;
