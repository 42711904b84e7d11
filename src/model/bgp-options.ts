import { parseIp, whyNoAsn } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { badOption, type GivenOptions } from './driver-options.ts';
import type { BgpNeighbor, BgpOptions } from './overlay.ts';

/** Options of a network with the backend bgp, by the field that each is about. */
export const BGP_KEYS = {
  asn: 'asn',
  neighbors: 'neighbors',
  password_file: 'passwordFile',
  hold_time: 'holdTime',
  restart_time: 'restartTime',
} as const;
type Field = (typeof BGP_KEYS)[keyof typeof BGP_KEYS];

/** Of those for private use (RFC 6996), the first that two bytes hold. */
export const BGP_DEFAULTS: BgpOptions = {
  asn: 64_512,
  neighbors: [],
  passwordFile: '',
  holdTime: 90,
  restartTime: 120,
};

/** A host speaks with the routers of its rack, and not with all there are. */
const MOST_NEIGHBORS = 64;

/** What was written, and nothing else. @throws NetloomError EBADOPTION */
export function readBgpOptions(given: GivenOptions<Field>): Partial<BgpOptions> {
  const seconds =
    (least: number, most: number, or: string) =>
    (text: string, key: string): number => {
      const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
      if (value === 0 || (value >= least && value <= most)) return value;
      throw badOption(key, text, `${least} to ${most} seconds, or 0 ${or}`);
    };
  const asn = given.read('asn', (text) => parseAsn(text), undefined);
  const neighbors = given.read('neighbors', (text) => parseBgpNeighbors(text.split(',')), undefined);
  const passwordFile = given.read('passwordFile', absolute, undefined);
  const holdTime = given.read('holdTime', seconds(3, 65_535, 'for ever'), undefined);
  const restartTime = given.read('restartTime', seconds(1, 4095, 'for none'), undefined);
  return {
    ...(asn !== undefined && { asn }),
    ...(neighbors && { neighbors }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(holdTime !== undefined && { holdTime }),
    ...(restartTime !== undefined && { restartTime }),
  };
}

/** @throws NetloomError EBADOPTION */
export function parseAsn(text: string): number {
  const asn = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  const why = Number.isNaN(asn) ? `"${text}" is no AS number` : whyNoAsn(asn);
  if (why !== '') throw new NetloomError('EBADOPTION', why, { hint: 'write one such as 64512' });
  return asn;
}

/** `192.0.2.254:64513`, `[2001:db8::fe]:64513`; empty words are none. @throws NetloomError EBADOPTION */
export function parseBgpNeighbors(texts: readonly string[]): readonly BgpNeighbor[] {
  const neighbors = texts.filter((text) => text.trim() !== '').map((text) => parseNeighbor(text.trim()));
  const addresses = neighbors.map(({ address }) => address);
  const twice = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw new NetloomError('EBADOPTION', `BGP neighbor ${twice} is there twice`);
  if (neighbors.length <= MOST_NEIGHBORS) return neighbors;
  throw new NetloomError('EBADOPTION', `${neighbors.length} BGP neighbors: ${MOST_NEIGHBORS} are the most`);
}

function parseNeighbor(text: string): BgpNeighbor {
  const [, six, four, asn] = /^(?:\[([^\]]+)\]|([\d.]+)):(\d+)$/.exec(text) ?? [];
  const bare = six ?? four;
  if (bare === undefined || asn === undefined) {
    throw new NetloomError('EBADOPTION', `"${text}" is no BGP neighbor`, {
      hint: 'write address and AS: 192.0.2.254:64513, or [2001:db8::fe]:64513',
    });
  }
  const { text: address, family } = parseIp(bare);
  if (family !== (six === undefined ? 4 : 6) || /^fe[89ab]/.test(address)) {
    throw new NetloomError('EBADOPTION', `BGP neighbor "${text}": its address is none that can be spoken with`, {
      hint: 'give a global one; one of IPv6 stands in brackets',
    });
  }
  return { address, asn: parseAsn(asn) };
}

function absolute(text: string, key: string): string {
  if (text === '' || text.startsWith('/')) return text;
  throw badOption(key, text, 'write a path that begins with /: each node reads its own file there');
}
