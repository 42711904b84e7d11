import { IFLA_MACVLAN } from '../constants/index.ts';
import { Fields, mac, oneOf, u16, u32 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** More MAC addresses on one interface (`LinkSpec.link`), each an interface of its own. @see ip-link(8) "MACVLAN" */
export interface Macvlan {
  readonly kind: 'macvlan';
  /** `private`: not to one another; `vepa`: by way of the switch outside; `source`: by the sender's address. */
  readonly mode?: 'private' | 'vepa' | 'bridge' | 'passthru' | 'source';
  /** Mode passthru: leaves the interface below out of promiscuous mode. */
  readonly nopromisc?: boolean;
  /** Mode source: a frame that matched a source is given to nobody else (since Linux 5.13). */
  readonly nodst?: boolean;
  /** Mode source: the senders whose frames come here; replaces those that are there. */
  readonly macaddrs?: readonly string[];
  /** Mode source, change only: one sender more, or less. */
  readonly macaddrAdd?: string;
  readonly macaddrDelete?: string;
  /** Length of the queue for broadcasts (since Linux 5.11). */
  readonly bcQueueLen?: number;
}

/** linux/if_link.h enum macvlan_mode */
const MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;
/** linux/if_link.h MACVLAN_FLAG_* */
const FLAG = { NOPROMISC: 1, NODST: 2 } as const;
/** linux/if_link.h enum macvlan_macaddr_mode */
const MACADDR = { ADD: 0, DEL: 1, SET: 3 } as const;

const fields = new Fields<Pick<Macvlan, 'mode' | 'bcQueueLen'>>([
  ['bcQueueLen', IFLA_MACVLAN.BC_QUEUE_LEN, u32],
  ['mode', IFLA_MACVLAN.MODE, oneOf(u32, MODES)],
]);

export const macvlan: KindCodec<Macvlan> = {
  write(w, info) {
    const { macaddrs, macaddrAdd, macaddrDelete } = info;
    if (macaddrs) {
      w.u32(IFLA_MACVLAN.MACADDR_MODE, MACADDR.SET);
      w.nest(IFLA_MACVLAN.MACADDR_DATA, () => {
        for (const address of macaddrs) mac.write(w, IFLA_MACVLAN.MACADDR, address);
      });
    } else if (macaddrAdd !== undefined) {
      w.u32(IFLA_MACVLAN.MACADDR_MODE, MACADDR.ADD);
      mac.write(w, IFLA_MACVLAN.MACADDR, macaddrAdd);
    } else if (macaddrDelete !== undefined) {
      w.u32(IFLA_MACVLAN.MACADDR_MODE, MACADDR.DEL);
      mac.write(w, IFLA_MACVLAN.MACADDR, macaddrDelete);
    }
    fields.write(w, info);
    if (info.nopromisc !== undefined || info.nodst !== undefined) {
      const flags = (info.nopromisc === true ? FLAG.NOPROMISC : 0) | (info.nodst === true ? FLAG.NODST : 0);
      u16.write(w, IFLA_MACVLAN.FLAGS, flags);
    }
  },
  read(attrs) {
    const info: { -readonly [K in keyof Macvlan]: Macvlan[K] } = { kind: 'macvlan' };
    for (const a of attrs) {
      if (fields.readOne(a, info)) continue;
      if (a.type === IFLA_MACVLAN.FLAGS) {
        const flags = a.u16();
        info.nopromisc = (flags & FLAG.NOPROMISC) !== 0;
        info.nodst = (flags & FLAG.NODST) !== 0;
      } else if (a.type === IFLA_MACVLAN.MACADDR_DATA) {
        const list: string[] = [];
        for (const address of a.nested()) {
          const text = address.type === IFLA_MACVLAN.MACADDR ? mac.read(address) : undefined;
          if (text !== undefined) list.push(text);
        }
        info.macaddrs = list;
      }
    }
    return info;
  },
};
