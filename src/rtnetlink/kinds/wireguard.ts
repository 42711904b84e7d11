import type { KindCodec } from './kind.ts';

/** A WireGuard interface; its keys and peers are set by generic netlink. @see wg(8) */
export interface Wireguard {
  readonly kind: 'wireguard';
}
export const wireguard: KindCodec<Wireguard> = { read: () => ({ kind: 'wireguard' }) };
