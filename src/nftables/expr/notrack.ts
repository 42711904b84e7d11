import type { ExprCodec } from './codec.ts';

/** Keeps the packet out of connection tracking. */
export interface NotrackExpr {
  readonly name: 'notrack';
}

export const notrack: ExprCodec<NotrackExpr> = {
  name: 'notrack',
  encode() {},
  decode: () => ({ name: 'notrack' }),
};
