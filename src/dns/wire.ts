/** Numbers of the DNS. @see RFC 1035 section 4.1, RFC 6891, IANA "Domain Name System (DNS) Parameters" */

/** Second and third byte of the header, as one number. */
export const FLAG = {
  QR: 0x8000,
  OPCODE: 0x7800,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
  RCODE: 0x000f,
} as const;

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export const CLASS = { IN: 1, ANY: 255 } as const;

/** The header's length; where the question begins. */
export const HEADER = 12;
/** Bytes of a UDP answer without EDNS (RFC 1035 section 4.2.1). */
export const UDP_PLAIN = 512;
/** Bytes of ours with EDNS: what crosses the internet in one piece (RFC 9715). */
export const UDP_EDNS = 1232;
/** Bytes of a record without owner name and data: type, class, TTL, length. */
export const RECORD_HEAD = 10;
/** An OPT record without options. */
export const OPT_SIZE = 11;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(TYPE).map(([name, number]) => [number, name]));
const RCODE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(RCODE).map(([name, n]) => [n, name]));

/** `A`; `TYPE99` for what has no name here (RFC 3597 section 5). */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}
export function rcodeName(rcode: number): string {
  return RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`;
}
