/** AS_TRANS of RFC 6793 and the last of two bytes, RFC 7300. */
const RESERVED: readonly number[] = [23_456, 65_535];

/** Why a number is nobody's AS, for people; empty where it may be one. @see RFC 6793, RFC 7607 */
export function whyNoAsn(asn: number): string {
  if (!Number.isInteger(asn) || asn < 1 || asn > 4_294_967_294) return `an AS number is 1 to 4294967294, not ${asn}`;
  return RESERVED.includes(asn) ? `AS ${asn} is reserved` : '';
}
