import { IFLA_IPVLAN } from '../constants/index.ts';
import { Fields, oneOf, u16 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** More interfaces with one MAC address (`LinkSpec.link`), told apart by IP address. @see ip-link(8) "IPVLAN" */
export interface Ipvlan {
  readonly kind: 'ipvlan';
  /** `l3` routes between them; `l3s` does so with netfilter on the way (since Linux 4.9). */
  readonly mode?: 'l2' | 'l3' | 'l3s';
  /** Who reaches whom (since Linux 4.15): all, none, or by way of the switch outside. */
  readonly flag?: 'bridge' | 'private' | 'vepa';
}

const fields = new Fields<Omit<Ipvlan, 'kind'>>([
  ['mode', IFLA_IPVLAN.MODE, oneOf(u16, { l2: 0, l3: 1, l3s: 2 })],
  ['flag', IFLA_IPVLAN.FLAGS, oneOf(u16, { bridge: 0, private: 1, vepa: 2 })],
]);

export const ipvlan: KindCodec<Ipvlan> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Ipvlan = { kind: 'ipvlan' };
    fields.readAll(attrs, info);
    return info;
  },
};
