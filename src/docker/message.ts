import { NetloomError } from '../errors.ts';

/** A request of Docker's as it came: whatever is not of the type that the protocol says is refused where it is read. */
export type Fields = Readonly<Record<string, unknown>>;

/** The protocol's requests are objects; one without fields may come as nothing. @throws NetloomError EDOCKER */
export function parseRequest(body: string): Fields {
  if (body.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw new NetloomError('EDOCKER', 'the request is no JSON', { cause: error });
  }
  // what Go writes for a request without arguments
  if (value === null) return {};
  if (!isObject(value)) throw new NetloomError('EDOCKER', 'the request is no JSON object');
  return value;
}

/** A word that must be there. @throws NetloomError EDOCKER */
export function needText(fields: Fields, key: string): string {
  const text = textIn(fields, key);
  if (text === '') throw new NetloomError('EDOCKER', `${key} is missing in the request`);
  return text;
}

/** Empty where it is missing. @throws NetloomError EDOCKER */
export function textIn(fields: Fields, key: string): string {
  const value = fields[key] ?? '';
  if (typeof value !== 'string') throw new NetloomError('EDOCKER', `${key} is no text`);
  return value;
}

/** Empty where it is missing. @throws NetloomError EDOCKER */
export function objectIn(fields: Fields, key: string): Fields {
  const value = fields[key] ?? {};
  if (!isObject(value)) throw new NetloomError('EDOCKER', `${key} is no object`);
  return value;
}

/** Empty where it is missing: what Go writes for an empty list is null. @throws NetloomError EDOCKER */
export function listIn(fields: Fields, key: string): readonly Fields[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value) || !value.every(isObject))
    throw new NetloomError('EDOCKER', `${key} is no list of objects`);
  return value;
}

/** 0 where it is missing. @throws NetloomError EDOCKER */
export function numberIn(fields: Fields, key: string): number {
  const value = fields[key] ?? 0;
  if (typeof value !== 'number') throw new NetloomError('EDOCKER', `${key} is no number`);
  return value;
}

/** Texts by name; what Docker adds of other types is not for us. */
export function textsOf(fields: Fields): Record<string, string> {
  const texts = Object.entries(fields).flatMap(([key, value]): [string, string][] => {
    if (typeof value === 'string') return [[key, value]];
    return typeof value === 'boolean' || typeof value === 'number' ? [[key, String(value)]] : [];
  });
  return Object.fromEntries(texts);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
