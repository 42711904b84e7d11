import { NetloomError } from '../errors.ts';
import { LATEST, type SpecVersion } from './spec.ts';

/** The specification's own codes, and ours from 100 on. */
export const CNI_CODES = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  BAD_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  UNDECODABLE: 6,
  BAD_CONFIGURATION: 7,
  TRY_LATER: 11,
  UNAVAILABLE: 50,
  LIMITED: 51,
  REFUSED: 100,
  EXHAUSTED: 101,
  TAKEN: 102,
  UNSUPPORTED: 103,
  NOT_ALLOWED: 104,
  NOT_AS_ADDED: 105,
  INTERNAL: 199,
} as const;
export type CniCode = (typeof CNI_CODES)[keyof typeof CNI_CODES];

/** An error that knows its number in the specification. */
export class CniError extends NetloomError {
  /** One of `CNI_CODES`, or another plugin's own. */
  readonly cni: number;

  constructor(cni: number, message: string, options?: { cause?: unknown; hint?: string }) {
    super('ECNI', message, options);
    this.cni = cni;
  }
}

/** What a plugin prints when it fails. */
export interface ErrorAnswer {
  readonly cniVersion: SpecVersion;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** An error as the runtime is told of it: in one line what went wrong, and in `details` what to do. */
export function errorAnswer(error: unknown, version: SpecVersion = LATEST): ErrorAnswer {
  const text = error instanceof Error ? error.message : String(error);
  const details = error instanceof NetloomError ? error.hint : '';
  return {
    cniVersion: version,
    code: codeOf(error),
    msg: printable(text),
    ...(details !== '' && { details: printable(details) }),
  };
}

/** Characters of a message at most. */
const MESSAGE_MAX = 2000;

/**
 * What somebody wrote, as a message can hold it: no character that a terminal or a log would obey, and no more than is read.
 * Lines stay.
 */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  const shown = text.replaceAll(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return shown.length <= MESSAGE_MAX ? shown : `${shown.slice(0, MESSAGE_MAX)}…`;
}

/** A value of a configuration, for a message: short, and never more than a line. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

function codeOf(error: unknown): number {
  if (error instanceof CniError) return error.cni;
  if (!(error instanceof NetloomError)) return CNI_CODES.INTERNAL;
  for (const [code, names] of BY_CODE) if (names.has(error.code)) return code;
  return /^EBAD|^EADDROUTSIDE$|^EINVAL$/.test(error.code) ? CNI_CODES.BAD_CONFIGURATION : CNI_CODES.REFUSED;
}

/** Which codes of netloom are which of the specification's; what begins with EBAD besides is the configuration's fault. */
const BY_CODE: ReadonlyMap<CniCode, ReadonlySet<string>> = new Map([
  [CNI_CODES.UNKNOWN_CONTAINER, new Set(['EBADNETNS', 'EENDPOINTNOTFOUND', 'ENOENT'])],
  [CNI_CODES.IO_FAILURE, new Set(['EIO', 'ESTOREIO', 'ESTORECORRUPT', 'ENOSPC', 'EDQUOT'])],
  [
    CNI_CODES.TRY_LATER,
    new Set([
      ...['ENETWORKBUSY', 'EENDPOINTBUSY', 'ESTOREBUSY', 'ESTOPPING', 'EDAEMONLOST', 'EAGAIN', 'EINTR', 'ETIMEDOUT'],
      ...['EBUSY', 'EDHCP', 'ENOMEM', 'ENOBUFS', 'EMFILE', 'ENFILE'],
    ]),
  ],
  [CNI_CODES.EXHAUSTED, new Set(['EPOOLEXHAUSTED', 'EBRIDGEFULL', 'ENETWORKFULL'])],
  [
    CNI_CODES.TAKEN,
    new Set([
      'EADDRTAKEN',
      'EPORTTAKEN',
      'EIFNAMETAKEN',
      'ENAMETAKEN',
      'EADDRINUSE',
      'ECONFLICT',
      'ESUBNETOVERLAP',
      'EROUTEOVERLAP',
    ]),
  ],
  [CNI_CODES.UNSUPPORTED, new Set(['EUNSUPPORTED', 'ENOSYS', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'])],
  [CNI_CODES.NOT_ALLOWED, new Set(['EACCES', 'EPERM'])],
  [CNI_CODES.INTERNAL, new Set(['EINTERNAL', 'EBADMSG', 'EBADF', 'EBADVALUE', 'EBADANSWER', 'ESTORETX'])],
]);
