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
  readonly cni: CniCode;

  constructor(cni: CniCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super('ECNI', message, options);
    this.cni = cni;
  }
}

/** What a plugin prints when it fails. */
export interface ErrorAnswer {
  readonly cniVersion: SpecVersion;
  readonly code: CniCode;
  readonly msg: string;
  readonly details?: string;
}

/** An error as the runtime is told of it: in one line what went wrong, and in `details` what to do. */
export function errorAnswer(error: unknown, version: SpecVersion = LATEST): ErrorAnswer {
  const text = error instanceof Error ? error.message : String(error);
  const details = error instanceof NetloomError ? error.hint : '';
  return { cniVersion: version, code: codeOf(error), msg: text, ...(details !== '' && { details }) };
}

function codeOf(error: unknown): CniCode {
  if (error instanceof CniError) return error.cni;
  if (!(error instanceof NetloomError)) return CNI_CODES.INTERNAL;
  for (const [code, names] of BY_CODE) if (names.has(error.code)) return code;
  return /^EBAD|^EADDROUTSIDE$/.test(error.code) ? CNI_CODES.BAD_CONFIGURATION : CNI_CODES.REFUSED;
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
