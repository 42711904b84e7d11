import type { KindCodec } from './kind.ts';

/** An intermediate functional block: traffic shaping for what comes in. */
export interface Ifb {
  readonly kind: 'ifb';
}
export const ifb: KindCodec<Ifb> = { read: () => ({ kind: 'ifb' }) };
