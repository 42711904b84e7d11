import { IFLA_VTI } from '../constants/index.ts';
import { Fields, ipOrNone, u32, u32be } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** An interface for an IPsec tunnel over IPv4. @see ip-link(8) */
export interface Vti {
  readonly kind: 'vti';
  readonly local?: string;
  readonly remote?: string;
  /** Index of the interface below. */
  readonly dev?: number;
  /** Mark of the policies for what arrives; 0 for none. */
  readonly ikey?: number;
  /** Mark of the policies for what leaves; 0 for none. */
  readonly okey?: number;
  readonly fwmark?: number;
}

const fields = new Fields<Omit<Vti, 'kind'>>([
  ['ikey', IFLA_VTI.IKEY, u32be],
  ['okey', IFLA_VTI.OKEY, u32be],
  ['local', IFLA_VTI.LOCAL, ipOrNone],
  ['remote', IFLA_VTI.REMOTE, ipOrNone],
  ['fwmark', IFLA_VTI.FWMARK, u32],
  ['dev', IFLA_VTI.LINK, u32],
]);

export const vti: KindCodec<Vti> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Vti = { kind: 'vti' };
    fields.readAll(attrs, info);
    return info;
  },
};
