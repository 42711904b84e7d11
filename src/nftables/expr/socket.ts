import { type ExprCodec, nameOf } from './codec.ts';

/** Loads a fact of the local socket that the packet belongs to. @see nft(8) SOCKET EXPRESSION */
export interface SocketExpr {
  readonly name: 'socket';
  readonly key: keyof typeof SOCKET;
  readonly dreg: number;
  /** For cgroupv2: how deep, counted from the root. */
  readonly level?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_socket_keys */
const SOCKET = { transparent: 0, mark: 1, wildcard: 2, cgroupv2: 3 } as const;

/** enum nft_socket_attributes */
const NFTA_SOCKET = { KEY: 1, DREG: 2, LEVEL: 3 } as const;

export const socket: ExprCodec<SocketExpr> = {
  name: 'socket',
  encode(w, e) {
    w.u32be(NFTA_SOCKET.KEY, SOCKET[e.key]).u32be(NFTA_SOCKET.DREG, e.dreg);
    if (e.level !== undefined) w.u32be(NFTA_SOCKET.LEVEL, e.level);
  },
  decode(attrs) {
    const e = { name: 'socket' as const, key: 'mark' as SocketExpr['key'], dreg: 0 };
    let level: number | undefined;
    for (const a of attrs) {
      if (a.type === NFTA_SOCKET.KEY) e.key = nameOf(SOCKET, a.u32be(), a);
      else if (a.type === NFTA_SOCKET.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_SOCKET.LEVEL) level = a.u32be();
    }
    return { ...e, ...(level !== undefined && { level }) };
  },
};
