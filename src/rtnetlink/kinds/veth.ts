import type { NlWriter } from '../../netlink/index.ts';
import { VETH_INFO } from '../constants/index.ts';
import { type LinkBirth, writeLinkBody } from '../linkbody.ts';
import type { KindCodec } from './kind.ts';

/** A pair of Ethernet interfaces, each the other's cable. @see veth(4) */
export interface Veth {
  readonly kind: 'veth';
  /**
   * The other end, at creation only. It cannot be born up: the kernel answers ENOTCONN. Reading back, the kernel says
   * nothing here: the peer's index is `Link.link`, its namespace `Link.linkNetnsid`.
   */
  readonly peer?: LinkBirth;
}

export const veth: KindCodec<Veth> = {
  write(w: NlWriter, info: Veth): void {
    const { peer } = info;
    if (peer) w.nest(VETH_INFO.PEER, () => writeLinkBody(w, peer));
  },
  read: () => ({ kind: 'veth' }),
};
