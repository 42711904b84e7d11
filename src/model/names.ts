import { NetloomError } from '../errors.ts';

/** What a name is for; it stands in messages. */
export type Noun = 'network' | 'container';

/** Longest name of a network or container: a name must also fit where DNS uses it (RFC 1035 section 2.3.4). */
export const NAME_MAX = 63;

/** Docker's rule for names, at most 63 characters. @throws NetloomError EBADNAME */
export function checkName(noun: Noun, name: string): string {
  const fault = nameFault(name);
  if (fault) throw new NetloomError('EBADNAME', `"${cut(name)}" cannot be the name of a ${noun}: ${fault}`);
  return name;
}

/** A name that others make of names of their own: longer than a person's, and with colons. @throws NetloomError EBADNAME */
export function checkLabel(what: string, name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.:@-]{0,511}$/.test(name)) return name;
  throw new NetloomError('EBADNAME', `${JSON.stringify(name.slice(0, 80))} cannot be the name of ${what}`, {
    hint: 'letters, digits and _.:@- only, a letter or digit first, 512 at most',
  });
}

/** RFC 1123 section 2.1; at most 64 bytes, as sethostname(2) takes. @throws NetloomError EBADHOSTNAME */
export function checkHostname(name: string): string {
  const fault =
    name.length > 64
      ? `it has ${name.length} characters; Linux takes 64`
      : isDomain(name)
        ? ''
        : 'use letters, digits and "-", in parts of at most 63 between dots, each beginning and ending with a letter or digit';
  if (fault) throw new NetloomError('EBADHOSTNAME', `"${cut(name)}" cannot be a hostname: ${fault}`);
  return name;
}

/** True for a domain or host name by RFC 1123: at most 253 characters. */
export function isDomain(name: string): boolean {
  return (
    name.length <= 253 &&
    /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/.test(name)
  );
}

/** The candidate that differs least from what was written, if any is close. */
export function nearest(written: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(written.length / 3)) + 1;
  for (const candidate of candidates) {
    const differs = distance(written, candidate);
    if (differs < least) {
      best = candidate;
      least = differs;
    }
  }
  return best;
}

/** Runs `body`; an error out of it is told where it happened: `network web: …`. */
export function within<T>(place: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof NetloomError)) throw error;
    throw new NetloomError(error.code, `${place}: ${error.message}`, { cause: error, hint: error.hint });
  }
}

function nameFault(name: string): string {
  if (name === '') return 'it is empty';
  const wrong = /[^a-zA-Z0-9_.-]/u.exec(name);
  if (wrong) return `leave out ${JSON.stringify(wrong[0])}; use letters, digits, "_", "." and "-"`;
  if (!/^[a-zA-Z0-9]/.test(name)) return 'begin it with a letter or digit';
  if (name.length > NAME_MAX) return `it has ${name.length} characters; shorten it to ${NAME_MAX}`;
  return '';
}

/** Levenshtein's distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
