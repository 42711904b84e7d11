import { IFLA_TUN } from '../constants/index.ts';
import { bool, Fields, oneOf, u32, u8 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** An interface whose other end is a program. Made with TUNSETIFF, not by netlink. @see linux/if_tun.h */
export interface Tun {
  readonly kind: 'tun';
  /** `tun`: IP packets; `tap`: Ethernet frames. */
  readonly mode?: 'tun' | 'tap';
  /** Numeric user and group that may open it; missing: anyone with CAP_NET_ADMIN. */
  readonly owner?: number;
  readonly group?: number;
  /** Packets carry struct tun_pi. */
  readonly pi?: boolean;
  readonly vnetHdr?: boolean;
  /** Stays when its program ends. */
  readonly persist?: boolean;
  readonly multiQueue?: boolean;
  readonly queues?: number;
  readonly disabledQueues?: number;
}

const fields = new Fields<Omit<Tun, 'kind'>>([
  ['owner', IFLA_TUN.OWNER, u32],
  ['group', IFLA_TUN.GROUP, u32],
  ['mode', IFLA_TUN.TYPE, oneOf(u8, { tun: 1, tap: 2 })],
  ['pi', IFLA_TUN.PI, bool],
  ['vnetHdr', IFLA_TUN.VNET_HDR, bool],
  ['persist', IFLA_TUN.PERSIST, bool],
  ['multiQueue', IFLA_TUN.MULTI_QUEUE, bool],
  ['queues', IFLA_TUN.NUM_QUEUES, u32],
  ['disabledQueues', IFLA_TUN.NUM_DISABLED_QUEUES, u32],
]);

export const tun: KindCodec<Tun> = {
  read(attrs) {
    const info: Tun = { kind: 'tun' };
    fields.readAll(attrs, info);
    return info;
  },
};
