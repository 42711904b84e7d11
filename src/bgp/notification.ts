import { concat, MAX_MESSAGE, HEADER } from './wire.ts';

/** Why a session ends, as the one who ends it says. @see RFC 4271 section 4.5 */
export interface Notification {
  readonly code: number;
  readonly subcode: number;
  readonly data?: Uint8Array;
}

/** RFC 4271 section 6.1 to 6.7, RFC 4486 (Cease), RFC 7313, RFC 9687 */
export const ERROR = { HEADER: 1, OPEN: 2, UPDATE: 3, HOLD: 4, FSM: 5, CEASE: 6, REFRESH: 7, SEND_HOLD: 8 } as const;
export const HEADER_ERROR = { SYNC: 1, LENGTH: 2, TYPE: 3 } as const;
export const OPEN_ERROR = { VERSION: 1, PEER_AS: 2, ID: 3, PARAMETER: 4, HOLD_TIME: 6, CAPABILITY: 7 } as const;
export const UPDATE_ERROR = { LIST: 1, UNKNOWN: 2, OPTIONAL: 9, NLRI: 10 } as const;
export const FSM_ERROR = { OPEN_SENT: 1, OPEN_CONFIRM: 2, ESTABLISHED: 3 } as const;
export const CEASE = {
  PREFIXES: 1,
  SHUTDOWN: 2,
  DECONFIGURED: 3,
  RESET: 4,
  REJECTED: 5,
  CHANGED: 6,
  COLLISION: 7,
} as const;

const CODES: Readonly<Record<number, string>> = {
  1: 'message header',
  2: 'OPEN',
  3: 'UPDATE',
  4: 'hold timer expired',
  5: 'state machine',
  6: 'cease',
  7: 'ROUTE-REFRESH',
  8: 'send hold timer expired',
};
const SUBCODES: Readonly<Record<number, readonly string[]>> = {
  1: ['', 'not synchronised', 'bad length', 'bad type'],
  2: [
    ...['', 'unsupported version', 'bad peer AS', 'bad BGP identifier', 'unsupported optional parameter'],
    ...['authentication failed', 'unacceptable hold time', 'unsupported capability'],
  ],
  3: [
    ...['', 'malformed attribute list', 'unrecognised well-known attribute', 'missing well-known attribute'],
    ...['attribute flags', 'attribute length', 'invalid ORIGIN', 'AS routing loop', 'invalid NEXT_HOP'],
    ...['optional attribute', 'invalid network field', 'malformed AS_PATH'],
  ],
  5: ['', 'unexpected message in OpenSent', 'unexpected message in OpenConfirm', 'unexpected message in Established'],
  6: [
    ...['', 'maximum number of prefixes reached', 'administrative shutdown', 'peer de-configured'],
    ...['administrative reset', 'connection rejected', 'other configuration change', 'connection collision'],
    ...['out of resources', 'hard reset', 'BFD down'],
  ],
  7: ['', 'invalid message length'],
};

/** One line for people: `OPEN: bad peer AS`, with what its sender wrote (RFC 9003). */
export function wordsOf({ code, subcode, data }: Notification): string {
  const head = CODES[code] ?? `error ${code}`;
  const known = SUBCODES[code]?.[subcode] ?? (subcode === 0 ? '' : `subcode ${subcode}`);
  const said = code === ERROR.CEASE && (subcode === CEASE.SHUTDOWN || subcode === CEASE.RESET) ? textOf(data) : '';
  return `${head}${known === '' ? '' : `: ${known}`}${said === '' ? '' : `: "${said}"`}`;
}

/** The text of a shutdown; what is not printable becomes `?`, since it is shown on terminals. */
function textOf(data: Uint8Array | undefined): string {
  const length = data?.[0] ?? 0;
  if (!data || length === 0 || length > 255 || data.length < 1 + length) return '';
  return Buffer.from(data.subarray(1, 1 + length))
    .toString('utf8')
    .replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?');
}

/** An administrative end, with a word to the operator on the other side: 255 bytes at most. @see RFC 9003 */
export function shutdown(text: string): Notification {
  const all = Buffer.from(text, 'utf8');
  let end = Math.min(all.length, 255);
  // a character is not cut in two
  while (end < all.length && (all[end]! & 0xc0) === 0x80) end--;
  const bytes = all.subarray(0, end);
  return { code: ERROR.CEASE, subcode: CEASE.SHUTDOWN, data: Uint8Array.of(bytes.length, ...bytes) };
}

export function encodeNotification({ code, subcode, data = new Uint8Array() }: Notification): Uint8Array {
  return concat([Uint8Array.of(code, subcode), data.subarray(0, MAX_MESSAGE - HEADER - 2)]);
}
/** @param body of two bytes or more, which the header was held to */
export function decodeNotification(body: Uint8Array): Notification {
  return { code: body[0] ?? 0, subcode: body[1] ?? 0, data: body.slice(2) };
}
