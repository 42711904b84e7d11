import { IFLA_XFRM } from '../constants/index.ts';
import { Fields, u32 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** An interface whose packets go through IPsec: by the policies and states that have its id. @see ip-link(8) */
export interface Xfrm {
  readonly kind: 'xfrm';
  /** Not 0; one interface an id in a namespace. */
  readonly ifId?: number;
  /** Index of the interface below; missing: whichever the outer packets take. */
  readonly dev?: number;
}

const fields = new Fields<Omit<Xfrm, 'kind'>>([
  ['dev', IFLA_XFRM.LINK, u32],
  ['ifId', IFLA_XFRM.IF_ID, u32],
]);

export const xfrm: KindCodec<Xfrm> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Xfrm = { kind: 'xfrm' };
    fields.readAll(attrs, info);
    return info;
  },
};
