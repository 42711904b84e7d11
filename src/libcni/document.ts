import { NetloomError } from '../errors.ts';
import type { Json } from './types.ts';

/** An error of a configuration. */
export function badConfig(message: string, hint?: string, cause?: unknown): NetloomError {
  return new NetloomError('ECNICONFIG', message, {
    ...(hint !== undefined && { hint }),
    ...(cause !== undefined && { cause }),
  });
}

/** A file of the configuration cannot be used, and says why. */
export class ConfFileError extends NetloomError {
  readonly file: string;

  constructor(file: string, why: string, options: { cause?: unknown; hint?: string } = {}) {
    super('ECNICONFIG', `${file}: ${why}`, options);
    this.file = file;
  }
}

/** Reads a JSON object. @throws NetloomError ECNICONFIG */
export function parseObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badConfig(`is no JSON: ${(error as Error).message}`, 'jq . FILE shows where.', error);
  }
  if (!isObject(value))
    throw badConfig('is no JSON object', 'A configuration is one object: { "name": …, "plugins": […] }.');
  return value;
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text, or nothing at all. @throws NetloomError ECNICONFIG */
export function textOf(object: Json, key: string): string | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw badConfig(`${key}: a string is wanted`);
  return value;
}
