import { readFileSync } from 'node:fs';
import { tryParseIp } from '../../addr/index.ts';
import { UsageError } from '../errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `-e NAME=VALUE`, `-e NAME` (the caller's own value, if it has one) and `--env-file`; later wins, `-e` before files. */
export function environment(
  words: readonly string[] | undefined,
  files: readonly string[] | undefined,
  own: Env,
): Record<string, string> {
  const lines = (files ?? []).flatMap((file) => fileLines(file));
  const out: Record<string, string> = {};
  for (const word of [...lines, ...(words ?? [])]) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    if (name === '' || /\s/.test(name))
      throw new UsageError(`"${word}" is no environment variable`, 'Write NAME=VALUE, or NAME to pass your own.');
    const value = equals < 0 ? own[name] : word.slice(equals + 1);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** One variable a line; `#` begins a comment line; nothing is unquoted, as docker-run(1) has it. */
function fileLines(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `--env-file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** `--add-host NAME:ADDRESS` or `NAME=ADDRESS`, IPv6 with or without brackets → `NAME:ADDRESS`. @throws UsageError */
export function parseHost(text: string): string {
  const at = text.search(/[:=]/);
  const name = at < 0 ? '' : text.slice(0, at);
  const address = at < 0 ? '' : text.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (name === '') throw new UsageError(`"${text}" is no host`, 'Write NAME:ADDRESS, for example db:172.18.0.9.');
  if (address !== 'host-gateway' && tryParseIp(address) === undefined)
    throw new UsageError(`"${address}" is no address`, 'Write NAME:ADDRESS, for example db:172.18.0.9.');
  return `${name}:${address}`;
}
