import type { CommandDef, FlagView } from './command.ts';
import { kebab } from './command.ts';
import { UsageError } from './errors.ts';

/**
 * The one place where Docker's way of writing a command line becomes stricli's: short flags in groups (`-itd`) or with
 * their value attached (`-p80:80`), second names (`--net`), flags before the verb, a repeated flag whose last value
 * counts, flags that end at the first positional (`run`, `exec`), `container ls` for `ps`.
 *
 * The answer is always `VERB… --flag=value… -- positional…`. What is unknown stays as it was: stricli reports it,
 * with the nearest name.
 */
export interface Translated {
  /** For stricli. */
  readonly argv: readonly string[];
  /** Undefined when the words name no verb. */
  readonly command: CommandDef | undefined;
  /** The verb's words found so far: `['network']` for `netloom network`. */
  readonly words: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
  /** Known even where parsing fails, so that the failure can be printed as asked. */
  readonly json: boolean;
}

interface Scan {
  readonly flags: [name: string, value: string | undefined][];
  readonly positionals: string[];
  /** As typed, for stricli to complain about. */
  readonly unknown: string[];
  help: boolean;
}

export function translate(argv: readonly string[], commands: readonly CommandDef[]): Translated {
  const leading: string[] = [];
  let rest = [...argv];
  let version = false;
  let help = false;
  // Flags before the verb: only the global ones take a value, so every other is niladic.
  while (rest[0]?.startsWith('-') && rest[0].length > 1 && rest[0] !== '--') {
    const word = rest.shift() ?? '';
    if (word === '--help' || word === '-h') help = true;
    else if (word === '--version' || word === '-v') version = true;
    else {
      leading.push(word);
      if (/^--(socket|state-dir|run-dir)$/.test(word) && rest[0] !== undefined) leading.push(rest.shift() ?? '');
    }
  }
  const { command, words, used } = resolve(rest, commands);
  rest = rest.slice(used);
  const jsonAhead = leading.includes('--json');
  if (command === undefined) {
    const stray = leading.find((word) => word.startsWith('-') && !/^--(json|socket|state-dir|run-dir)(=|$)/.test(word));
    if (stray !== undefined && rest.length === 0)
      throw new UsageError(
        `unknown flag ${stray}`,
        'netloom --help lists the commands and the flags that all of them have.',
      );
    const asksHelp = help || rest.some((word) => word === '--help' || word === '-h');
    return {
      argv: [...words, ...rest],
      command,
      words,
      help: asksHelp,
      version,
      json: jsonAhead || rest.includes('--json'),
    };
  }
  const scan: Scan = { flags: [], positionals: [], unknown: [], help };
  scanWords([...leading], command, scan, false);
  scanWords(rest, command, scan, command.wrapsCommand);
  const json = scan.flags.some(([name, value]) => name === 'json' && value !== 'false');
  return { argv: [...command.path, ...assemble(scan, command)], command, words, help: scan.help, version, json };
}

/** The longest verb that the first words spell; or, without one, the words that begin some verb. */
function resolve(
  rest: readonly string[],
  commands: readonly CommandDef[],
): { command: CommandDef | undefined; words: string[]; used: number } {
  let best: { command: CommandDef; used: number } | undefined;
  let prefix = 0;
  for (const command of commands) {
    for (const path of [command.path, ...command.otherPaths]) {
      const same = path.findIndex((word, index) => rest[index] !== word);
      if (same === -1 && path.length > (best?.used ?? 0)) best = { command, used: path.length };
      else if (same > prefix) prefix = same;
    }
  }
  if (best !== undefined) return { command: best.command, words: [...best.command.path], used: best.used };
  return { command: undefined, words: rest.slice(0, prefix), used: prefix };
}

function scanWords(words: string[], command: CommandDef, scan: Scan, wraps: boolean): void {
  while (words.length > 0) {
    const word = words.shift() ?? '';
    if (word === '--') {
      scan.positionals.push(...words);
      return;
    }
    if (word.startsWith('--')) long(word, words, command, scan);
    else if (word.startsWith('-') && word.length > 1) short(word, words, command, scan);
    else {
      scan.positionals.push(word);
      if (wraps) {
        scan.positionals.push(...words);
        return;
      }
    }
  }
}

function long(word: string, words: string[], command: CommandDef, scan: Scan): void {
  const equals = word.indexOf('=');
  const typed = equals < 0 ? word.slice(2) : word.slice(2, equals);
  if (typed === 'help') {
    scan.help = true;
    return;
  }
  const name = flagName(typed, command);
  if (name === undefined) {
    // stricli would take what it cannot read as a flag for a positional.
    if (!/^[a-z][\w.-]+$/i.test(typed))
      throw new UsageError(`"${word}" is no flag`, 'What begins with a dash and is no flag stands after --.');
    scan.unknown.push(`--${typed}`);
    return;
  }
  if (equals >= 0) scan.flags.push([name, word.slice(equals + 1)]);
  else if (isNiladic(command.flags[name])) scan.flags.push([name, 'true']);
  else scan.flags.push([name, words.shift()]);
}

function short(word: string, words: string[], command: CommandDef, scan: Scan): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? '';
    const name = command.shorts[letter];
    if (name === undefined) {
      if (letter === 'h') scan.help = true;
      else if (/[a-z]/i.test(letter)) scan.unknown.push(`-${letter}`);
      else throw new UsageError(`"${word}" is no flag`, 'What begins with a dash and is no flag stands after --.');
      continue;
    }
    const attached = word.slice(at + 1);
    if (isNiladic(command.flags[name])) {
      if (!attached.startsWith('=')) {
        scan.flags.push([name, 'true']);
        continue;
      }
      scan.flags.push([name, attached.slice(1)]);
      return;
    }
    if (attached === '') scan.flags.push([name, words.shift()]);
    else scan.flags.push([name, attached.startsWith('=') ? attached.slice(1) : attached]);
    return;
  }
}

/** The key in `command.flags` for a name as typed. */
export function flagName(typed: string, command: CommandDef): string | undefined {
  const wanted = command.longs[typed] ?? typed;
  return Object.keys(command.flags).find((name) => kebab(name) === wanted || name === wanted);
}

export function isNiladic(flag: FlagView | undefined): boolean {
  return flag?.kind === 'boolean' || flag?.kind === 'counter';
}

function assemble(scan: Scan, command: CommandDef): string[] {
  const out: string[] = [];
  const last = new Map(scan.flags.map(([name], index) => [name, index]));
  const missing: string[] = [];
  for (const [index, [name, value]] of scan.flags.entries()) {
    const repeats = command.flags[name]?.variadic !== undefined && command.flags[name].variadic !== false;
    if (!repeats && last.get(name) !== index) continue;
    const typed = `--${kebab(name)}`;
    if (value === undefined) missing.push(typed);
    // stricli takes `--flag=` and line breaks only as a word of its own; such a word never looks like a flag.
    else if (value === '' || /[\n\r\u2028\u2029]/.test(value)) out.push(typed, value);
    else out.push(`${typed}=${value}`);
  }
  // A flag without its value goes last, where stricli finds the value missing.
  return [...scan.unknown, ...out, ...missing.slice(0, 1), '--', ...scan.positionals];
}
