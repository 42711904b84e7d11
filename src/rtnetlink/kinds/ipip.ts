import { IFLA_IPTUN } from '../constants/index.ts';
import { Fields, u8 } from '../codec.ts';
import { IPTUN_FIELDS, type TunnelEnds } from './iptunnel.ts';
import type { KindCodec } from './kind.ts';

/** IPv4 in IPv4, RFC 2003. @see ip-link(8) "IPIP Type Support" */
export interface Ipip extends TunnelEnds {
  readonly kind: 'ipip';
  /** IP protocol inside: 4 (the default), 137 for MPLS, 0 for both. */
  readonly protocol?: number;
}

const fields = new Fields<Omit<Ipip, 'kind'>>([['protocol', IFLA_IPTUN.PROTO, u8], ...IPTUN_FIELDS]);

export const ipip: KindCodec<Ipip> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Ipip = { kind: 'ipip' };
    fields.readAll(attrs, info);
    return info;
  },
};
