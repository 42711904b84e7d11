import { IFLA_IPTUN } from '../constants/index.ts';
import { type Codec, Fields, u8 } from '../codec.ts';
import { IPTUN_FIELDS, type TunnelEnds } from './iptunnel.ts';
import type { KindCodec } from './kind.ts';

/** IPv6 in IPv4, RFC 4213. @see ip-link(8) "SIT Type Support" */
export interface Sit extends TunnelEnds {
  readonly kind: 'sit';
  /** RFC 5214 */
  readonly isatap?: boolean;
  /** IP protocol inside: 41 (the default), 4, 137, 0 for all. */
  readonly protocol?: number;
}

/** linux/if_tunnel.h: a bit in host order, though the field is declared big-endian */
const SIT_ISATAP = 0x0001;

const isatap: Codec<boolean> = {
  write: (w, t, v) => void w.u16(t, v ? SIT_ISATAP : 0),
  read: (a) => (a.u16() & SIT_ISATAP) !== 0,
};
const fields = new Fields<Omit<Sit, 'kind'>>([
  ['protocol', IFLA_IPTUN.PROTO, u8],
  ...IPTUN_FIELDS,
  ['isatap', IFLA_IPTUN.FLAGS, isatap],
]);

export const sit: KindCodec<Sit> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Sit = { kind: 'sit' };
    fields.readAll(attrs, info);
    return info;
  },
};
