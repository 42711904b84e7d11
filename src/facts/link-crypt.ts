import type { LinkKind, LinkSpec } from '../rtnetlink/index.ts';
import { spiText } from '../xfrm/index.ts';

/** A link whose packets are encrypted on their way to other hosts. */
export type CryptOrigin =
  /** Its key and peers are facts of their own. @see wg(8) */
  | { readonly type: 'wireguard' }
  /** By the states and policies with this interface id. @see ip-xfrm(8) */
  | { readonly type: 'xfrm'; readonly ifId: number };

export function isCrypt(origin: { readonly type: string }): origin is CryptOrigin {
  return origin.type === 'wireguard' || origin.type === 'xfrm';
}

export function cryptInfo(origin: CryptOrigin): LinkSpec['info'] {
  return origin.type === 'wireguard' ? { kind: 'wireguard' } : { kind: 'xfrm', ifId: origin.ifId };
}

/** Undefined for a link of another kind. */
export function cryptOriginOf(info: LinkKind | undefined): CryptOrigin | undefined {
  if (info?.kind === 'wireguard') return { type: 'wireguard' };
  return info?.kind === 'xfrm' ? { type: 'xfrm', ifId: info.ifId ?? 0 } : undefined;
}

/** The id of an interface cannot be changed. */
export function cryptDifferences(want: { readonly type: string }, have: { readonly type: string }): string[] {
  const differ =
    isCrypt(want) && isCrypt(have) && want.type === 'xfrm' && have.type === 'xfrm' && want.ifId !== have.ifId;
  return differ ? ['id'] : [];
}

/** `type xfrm if_id 0x6e000001` */
export function cryptWords(origin: CryptOrigin): string {
  return origin.type === 'wireguard' ? 'type wireguard' : `type xfrm if_id ${spiText(origin.ifId)}`;
}
