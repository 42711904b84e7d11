import { NetloomError } from '../errors.ts';

/** Consecutive ports, both ends inside. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A port, 1 to 65535; with `zero`, also 0. @throws NetloomError EBADPORT */
export function parsePort(text: string, options?: { readonly zero?: boolean }): number {
  const least = options?.zero === true ? 0 : 1;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < least || port > 65535) throw bad(text, `a port is a number from ${least} to 65535`);
  return port;
}

/** `80` or `8000-8010`. @throws NetloomError EBADPORT */
export function parsePortRange(text: string): PortRange {
  const dash = text.indexOf('-');
  if (dash < 0) {
    const port = parsePort(text);
    return { first: port, last: port };
  }
  const first = parsePort(text.slice(0, dash));
  const last = parsePort(text.slice(dash + 1));
  if (last < first) throw bad(text, `the range ends before it starts; write ${last}-${first}`);
  return { first, last };
}

function bad(text: string, cure: string): NetloomError {
  return new NetloomError('EBADPORT', `"${text}" is no port: ${cure}`);
}
