import { NetloomError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { printable } from './printable.ts';
import type { ErrorBody } from './schema/change.ts';

/** What Fastify adds to the errors that it raises itself. */
interface FrameworkError {
  readonly code?: string;
  readonly statusCode?: number;
  readonly message?: string;
  readonly validation?: readonly {
    readonly instancePath: string;
    readonly message?: string;
    readonly params?: Readonly<Record<string, unknown>>;
  }[];
  readonly validationContext?: string;
}

/** The answer for anything thrown: the code of a NetloomError or of a failed system call, else EINTERNAL. */
export function errorAnswer(thrown: unknown): ErrorBody {
  const { code, message, hint } = answerOf(thrown);
  // What was asked for stands in many messages, and may hold anything.
  return { code, message: printable(message), hint: printable(hint) };
}

function answerOf(thrown: unknown): ErrorBody {
  if (thrown instanceof NetloomError) return { code: thrown.code, message: thrown.message, hint: thrown.hint };
  const error = (
    typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) }
  ) as FrameworkError;
  const message = error.message ?? 'unknown';
  if (error.validation !== undefined) {
    return {
      code: 'EBADREQUEST',
      message: validationLine(error),
      hint: 'GET /v1/openapi.json describes every request',
    };
  }
  if (error.statusCode === 413) return { code: 'ETOOLARGE', message, hint: 'a request has at most 1 MiB' };
  if (error.code?.startsWith('FST_') === true && (error.statusCode ?? 500) < 500) {
    return { code: 'EBADREQUEST', message, hint: '' };
  }
  if (error.code !== undefined && ERROR_TABLE[error.code] !== undefined) return { code: error.code, message, hint: '' };
  return { code: 'EINTERNAL', message: `internal error: ${message}`, hint: 'the log of the daemon has the stack' };
}

/** `body/subnets/0/subnet must be string`; a field that nobody knows is named. */
function validationLine({ validation, validationContext }: FrameworkError): string {
  const [first] = validation ?? [];
  const where = `${validationContext === 'querystring' ? 'query' : (validationContext ?? 'request')}${first?.instancePath ?? ''}`;
  const { additionalProperty, allowedValues } = first?.params ?? {};
  if (typeof additionalProperty === 'string') return `${where} has no field '${additionalProperty}'`;
  if (Array.isArray(allowedValues)) return `${where} must be one of ${allowedValues.join(', ')}`;
  return `${where} ${first?.message ?? 'is not valid'}`;
}
