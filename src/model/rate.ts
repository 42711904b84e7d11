import { NetloomError } from '../errors.ts';

/** Prefixes of tc(8), SI and IEC, as powers of 1000 and of 1024. */
const PREFIXES = ['', 'k', 'm', 'g', 't'];

/**
 * A rate in the words of tc(8): `10mbit`, `1.5gbit`, `500kbit`, `64kibit`, a bare number of bits; `10mbps` is bytes, as
 * there; `0` and `none` are no limit. Bits per second. @throws NetloomError EBADOPTION
 */
export function parseRate(text: string): number {
  if (text === 'none') return 0;
  const [, digits, prefix = '', iec, unit] = /^(\d+(?:\.\d+)?)(?:([kmgt])(i)?)?(bit|bps)?$/i.exec(text) ?? [];
  const power = PREFIXES.indexOf(prefix.toLowerCase());
  // `10m` says neither bits nor bytes: tc(8) takes it for bits, others for bytes.
  if (digits === undefined || (unit === undefined && power > 0)) {
    throw new NetloomError('EBADOPTION', `"${text}" is no rate`, {
      hint: 'Write bits a second as 10mbit, 1gbit or 500kbit, bytes a second as 10mbps (tc(8) has the units), or none.',
    });
  }
  const bytes = unit?.toLowerCase() === 'bps';
  const rate = Math.round(Number(digits) * (iec === undefined ? 1000 : 1024) ** power * (bytes ? 8 : 1));
  if (Number(digits) === 0) return 0;
  if (rate < 8 || rate > Number.MAX_SAFE_INTEGER)
    throw new NetloomError('EBADOPTION', `the rate ${text} is ${rate < 8 ? 'less than a byte a second' : 'too large'}`);
  return rate;
}

/** `10mbit`, the way `parseRate` reads it: the largest unit that says it in whole numbers; `none` for 0. */
export function rateText(bits: number): string {
  if (bits === 0) return 'none';
  const power = PREFIXES.findLastIndex((_, index) => bits % 1000 ** index === 0);
  return `${bits / 1000 ** power}${PREFIXES[power] ?? ''}bit`;
}
