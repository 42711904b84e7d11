import type { KindCodec } from './kind.ts';

/** An interface that leads nowhere: a home for addresses. */
export interface Dummy {
  readonly kind: 'dummy';
}
export const dummy: KindCodec<Dummy> = { read: () => ({ kind: 'dummy' }) };
