import { IFLA_VRF } from '../constants/index.ts';
import { Fields, u32 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** A routing domain: its ports look routes up in its own table. @see ip-link(8) "VRF Type Support" */
export interface Vrf {
  readonly kind: 'vrf';
  /** Needed at creation, never to be changed. */
  readonly table?: number;
}

const fields = new Fields<Omit<Vrf, 'kind'>>([['table', IFLA_VRF.TABLE, u32]]);

export const vrf: KindCodec<Vrf> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Vrf = { kind: 'vrf' };
    fields.readAll(attrs, info);
    return info;
  },
};
