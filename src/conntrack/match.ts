import { type Ip, parseIp, parsePrefix, contains } from '../addr/index.ts';
import type { ConntrackEntry } from './entry.ts';

/** What a connection must look like; everything that is given has to fit. Addresses may be prefixes. */
export interface ConntrackMatch {
  readonly protocol?: number;
  /** As the client sent it: before any translation. */
  readonly origSrc?: string;
  readonly origDst?: string;
  readonly origSport?: number;
  readonly origDport?: number;
  /** As the server answers: its own address, after translation. */
  readonly replySrc?: string;
  readonly replyDst?: string;
  readonly replySport?: number;
  readonly replyDport?: number;
  readonly mark?: number;
  readonly zone?: number;
}

/** A predicate for `ConntrackConn.deleteMatching`. @throws NetloomError for an address that is none */
export function matches(match: ConntrackMatch): (entry: ConntrackEntry) => boolean {
  const [origSrc, origDst] = [addressTest(match.origSrc), addressTest(match.origDst)];
  const [replySrc, replyDst] = [addressTest(match.replySrc), addressTest(match.replyDst)];
  const is = <T>(wanted: T | undefined, value: T | undefined): boolean => wanted === undefined || wanted === value;
  return ({ orig, reply, mark, zone }) =>
    is(match.protocol, orig.protocol) &&
    is(match.origSport, orig.sport) &&
    is(match.origDport, orig.dport) &&
    is(match.replySport, reply.sport) &&
    is(match.replyDport, reply.dport) &&
    is(match.mark, mark) &&
    is(match.zone, zone) &&
    origSrc(orig.src) &&
    origDst(orig.dst) &&
    replySrc(reply.src) &&
    replyDst(reply.dst);
}

function addressTest(wanted: string | undefined): (address: string) => boolean {
  if (wanted === undefined) return () => true;
  if (!wanted.includes('/')) {
    const { text } = parseIp(wanted);
    return (address) => address === text;
  }
  const prefix = parsePrefix(wanted);
  return (address) => {
    const ip: Ip = parseIp(address);
    return contains(prefix, ip);
  };
}
