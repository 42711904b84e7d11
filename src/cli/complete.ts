import { readdir } from 'node:fs/promises';
import type { EngineApi, PublishedPort } from '../model/index.ts';
import { flagName, isNiladic } from './argv.ts';
import type { CommandDef, WordKind } from './command.ts';
import { kebab } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { SHELLS } from './commands/system.ts';
import type { Io } from './context.ts';
import type { GlobalFlags } from './flags.ts';
import { DRIVER_OPTIONS, optionWords } from './option-words.ts';

/**
 * What may stand at the place of the last word: `candidate`, or `candidate<TAB>description`, or one of `:files`,
 * `:directories`, `:commands`, which the shell itself answers. Never fails: a shell must not print our errors.
 */
export async function candidates(words: readonly string[], io: Io, flags: GlobalFlags): Promise<string[]> {
  const partial = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = commandOf(before);
  if (command === undefined)
    return nextWords(
      before.filter((word) => !word.startsWith('-')),
      partial,
    );
  const place = placeOf(before, command);
  if (place.flag !== undefined) return await ofFlag(place.flag, command, before, partial, io, flags);
  const inline = /^--([\w-]+)=(.*)$/s.exec(partial);
  if (inline !== null && !place.ended) {
    const name = flagName(inline[1] ?? '', command);
    const found = name === undefined ? [] : await ofFlag(name, command, before, inline[2] ?? '', io, flags);
    return found.map((each) => (each.startsWith(':') ? each : `--${inline[1] ?? ''}=${each}`));
  }
  if (partial.startsWith('-') && !place.ended) return flagsOf(command, partial);
  const kinds = command.completeArgs;
  const repeats = command.positionals.at(-1)?.repeated === true;
  const count = place.positionals.length;
  const kind = kinds[count] ?? (repeats && count > 0 && !command.wrapsCommand ? kinds.at(-1) : undefined);
  if (command.path.join(' ') === 'completion') return SHELLS.filter((shell) => shell.startsWith(partial));
  if (kind !== undefined) return await ofKind(kind, partial, io, flags, place.positionals[0]);
  return command.wrapsCommand && place.ended ? [':files'] : [];
}

function commandOf(before: readonly string[]): CommandDef | undefined {
  const words = before.filter((word) => !word.startsWith('-'));
  let best: { command: CommandDef; length: number } | undefined;
  for (const command of COMMANDS) {
    for (const path of [command.path, ...command.otherPaths]) {
      if (path.every((word, index) => words[index] === word) && path.length > (best?.length ?? 0))
        best = { command, length: path.length };
    }
  }
  return best?.command;
}

function nextWords(words: readonly string[], partial: string): string[] {
  if (partial.startsWith('-'))
    return ['--json', '--socket', '--state-dir', '--run-dir', '--help', '--version'].filter((flag) =>
      flag.startsWith(partial),
    );
  const found = new Map<string, string>();
  for (const command of COMMANDS) {
    if (command.hidden || !words.every((word, index) => command.path[index] === word)) continue;
    const next = command.path[words.length];
    if (next === undefined || !next.startsWith(partial)) continue;
    found.set(next, command.path.length > words.length + 1 ? `${command.topic}: ${next} …` : command.brief);
  }
  return [...found].map(([word, brief]) => `${word}\t${brief}`);
}

interface Place {
  /** A flag that waits for its value. */
  readonly flag: string | undefined;
  readonly positionals: readonly string[];
  /** No more flags from here on. */
  readonly ended: boolean;
}

function placeOf(before: readonly string[], command: CommandDef): Place {
  const words: string[] = [];
  const verb = command.path.length;
  let ended = false;
  let flag: string | undefined;
  for (const word of before) {
    if (flag !== undefined) flag = undefined;
    else if (ended || !word.startsWith('-') || word === '-') {
      words.push(word);
      if (command.wrapsCommand && words.length > verb) ended = true;
    } else if (word === '--') ended = true;
    else flag = waiting(word, command);
  }
  return { flag, positionals: words.slice(verb), ended };
}

function waiting(word: string, command: CommandDef): string | undefined {
  if (word.startsWith('--')) {
    const name = word.includes('=') ? undefined : flagName(word.slice(2), command);
    return name === undefined || isNiladic(command.flags[name]) ? undefined : name;
  }
  const name = command.shorts[word.at(-1) ?? ''];
  const earlier = word
    .slice(1, -1)
    .split('')
    .every((letter) => isNiladic(command.flags[command.shorts[letter] ?? '']));
  return name === undefined || !earlier || isNiladic(command.flags[name]) ? undefined : name;
}

function flagsOf(command: CommandDef, partial: string): string[] {
  const longs = Object.entries(command.flags)
    .filter(([, view]) => view.hidden !== true)
    .map(([name, view]) => `--${kebab(name)}\t${view.brief}`);
  return [...longs, '--help\tPrint the page of the command'].filter((line) => line.startsWith(partial));
}

async function ofFlag(
  name: string,
  command: CommandDef,
  before: readonly string[],
  partial: string,
  io: Io,
  flags: GlobalFlags,
): Promise<string[]> {
  const values = command.flags[name]?.values;
  if (values !== undefined) return values.filter((value) => value.startsWith(partial));
  const kind = command.completeFlag[name];
  if (kind === 'option') return optionWords(before, partial);
  return kind === undefined ? [] : await ofKind(kind, partial, io, flags);
}

async function ofKind(kind: WordKind, partial: string, io: Io, flags: GlobalFlags, before?: string): Promise<string[]> {
  if (kind === 'file') return [':files'];
  if (kind === 'directory') return [':directories'];
  if (kind === 'command') return [':commands'];
  if (kind === 'driver') return Object.keys(DRIVER_OPTIONS).filter((driver) => driver.startsWith(partial));
  if (kind === 'none') return [];
  if (kind === 'netns') return (await namespaces()).filter((name) => name.startsWith(partial));
  if (kind === 'machine') return (await machines(io)).filter((line) => line.startsWith(partial));
  if (kind === 'cni') return (await cniNetworks(io)).filter((line) => line.startsWith(partial));
  try {
    await using api = await io.open(flags);
    return (await names(kind, api, before)).filter((line) => line.startsWith(partial));
  } catch {
    return [];
  }
}

async function namespaces(): Promise<string[]> {
  return await readdir('/run/netns').catch(() => []);
}

async function machines(io: Io): Promise<string[]> {
  const { choosePlace } = await import('./parse/lab.ts');
  try {
    const { plan } = (await choosePlace({}, io.env)).mustRead();
    return plan.machines.map(({ name, kind }) => `${name}\t${kind}`);
  } catch {
    return [];
  }
}

async function cniNetworks(io: Io): Promise<string[]> {
  const { listConfs } = await import('../libcni/index.ts');
  const { confDir } = await import('./parse/cni.ts');
  try {
    return listConfs(confDir({}, io.env)).flatMap(({ file, list }) =>
      list === undefined ? [] : [`${list.name}\t${file}`],
    );
  } catch {
    return [];
  }
}

async function names(kind: WordKind, api: EngineApi, before = ''): Promise<string[]> {
  if (kind === 'network')
    return (await api.networkList()).map((each) =>
      `${each.name}\t${each.driver} ${each.subnets.map((subnet) => subnet.subnet).join(' ')}`.trimEnd(),
    );
  if (kind === 'endpoint')
    return (await api.endpointList()).map(
      (each) => `${each.id.slice(0, 12)}\t${each.netns} ${each.addresses.join(' ')}`,
    );
  if (kind === 'pool') return (await api.poolList()).map((each) => `${each.name}\t${each.subnet}`);
  if (kind === 'node')
    return (await api.nodeList()).map((each) => `${each.name}\t${each.state} ${each.addresses.join(' ')}`);
  if (kind === 'published') {
    const { endpoints } = await api.containerInspect(before);
    return [...new Set(endpoints.flatMap(({ ports }) => ports).map(hostPort))];
  }
  const all = await api.containerList({ all: kind !== 'running' });
  const containers = all.filter(({ pod = false }) => pod === (kind === 'pod'));
  return containers.map((each) => `${each.name}\t${each.state.status}`);
}

/** As `unpublish` reads it, on every address. */
function hostPort({ hostPort: first, count, protocol }: PublishedPort): string {
  const last = count > 1 ? `-${first + count - 1}` : '';
  return `${first}${last}${protocol === 'tcp' ? '' : `/${protocol}`}`;
}
