import type { Family } from '../addr/index.ts';
import { BgpError } from './errors.ts';
import { ERROR, OPEN_ERROR } from './notification.ts';
import type { Open } from './open.ts';
import { of16 } from './wire.ts';

/** What both sides of a session agreed upon. */
export interface Session {
  /** The peer's identifier, and its AS. */
  readonly id: string;
  readonly asn: number;
  readonly internal: boolean;
  /** Seconds; 0: nobody is waited for. */
  readonly holdTime: number;
  readonly families: readonly Family[];
  readonly as4: boolean;
  readonly extendedNextHop: boolean;
  readonly refresh: boolean;
  /** What the peer said of restarts; undefined: it knows nothing of them. */
  readonly restart: Open['restart'];
}

/**
 * What becomes of our OPEN and the peer's.
 * @throws BgpError where the peer is not who it should be, or nothing is in common (RFC 4271 section 6.2, RFC 6286)
 */
export function agree(ours: Open, theirs: Open, expectedAs: number): Session {
  if (theirs.asn !== expectedAs) {
    throw new BgpError(
      { code: ERROR.OPEN, subcode: OPEN_ERROR.PEER_AS },
      `it is AS ${theirs.asn}, and AS ${expectedAs} is expected`,
    );
  }
  const internal = theirs.asn === ours.asn;
  if (internal && theirs.id === ours.id)
    throw new BgpError({ code: ERROR.OPEN, subcode: OPEN_ERROR.ID }, `${theirs.id} is our own identifier`);
  const families = ours.families.filter((family) => theirs.families.includes(family));
  if (families.length === 0) {
    throw new BgpError(
      {
        code: ERROR.OPEN,
        subcode: OPEN_ERROR.CAPABILITY,
        data: Uint8Array.of(1, 4, ...of16(ours.families[0] === 6 ? 2 : 1, 1)),
      },
      'it carries no family that we do',
    );
  }
  return {
    id: theirs.id,
    asn: theirs.asn,
    internal,
    holdTime: Math.min(ours.holdTime, theirs.holdTime),
    families,
    as4: ours.as4 && theirs.as4,
    extendedNextHop: ours.extendedNextHop && theirs.extendedNextHop,
    refresh: theirs.refresh,
    restart: theirs.restart,
  };
}

/** Whether the connection that the peer made survives, where both sides made one. @see RFC 4271 section 6.8, RFC 6286 section 2.3 */
export function theirsSurvives(ours: Open, theirs: Open): boolean {
  const [mine, other] = [ours.id, theirs.id].map((id) =>
    id.split('.').reduce((sum, part) => sum * 256 + Number(part), 0),
  );
  return mine === other ? theirs.asn > ours.asn : other! > mine!;
}
