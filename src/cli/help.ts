import type { CommandDef, FlagView } from './command.ts';
import { TOPICS, kebab } from './command.ts';
import type { Io } from './context.ts';
import { EXIT } from './errors.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import { isStyled } from './output/style.ts';
import { wrap } from './output/wrap.ts';

const LEFT = 7;

/** What each exit status means; docs/cli.md has the same table. */
export const EXIT_STATUS: readonly (readonly [status: number | string, meaning: string])[] = [
  [EXIT.ok, 'It was done.'],
  [EXIT.failure, 'It could not be done; standard error says why.'],
  [EXIT.usage, 'The command line is wrong.'],
  [EXIT.netloom, 'run, exec: netloom itself failed, not the command; a wrong command line too.'],
  [EXIT.cannotRun, 'run, exec: the command is there and cannot be run.'],
  [EXIT.notFound, 'run, exec: there is no such command.'],
  ['else', "run, exec: the command's own status, or 128 + the number of the signal that ended it."],
];

/** What the environment can say. */
export const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ['NETLOOM_SOCKET', 'As --socket, but the engine in this process serves where nobody answers.'],
  ['NETLOOM_STATE_DIR', 'As --state-dir.'],
  ['NETLOOM_RUN_DIR', 'As --run-dir.'],
  ['NETLOOM_ETCD', 'As --etcd of netloom node join.'],
  ['NETLOOM_DEBUG', 'Print where an error came from.'],
  ['NO_COLOR', 'Print no bold text and no colours, even on a terminal.'],
  ['COLUMNS', 'Width that tables and pages must fit.'],
];

/** `netloom` alone, and `netloom network`: the verbs by topic. */
export function renderOverview(commands: readonly CommandDef[], words: readonly string[], io: Io): string {
  const page = new Page(io);
  const shown = commands.filter(
    (command) => !command.hidden && words.every((word, index) => command.path[index] === word),
  );
  page.heading('NAME');
  page.paragraph(
    words.length === 0
      ? 'netloom - networks, endpoints and published ports for containers'
      : `netloom ${words.join(' ')} - the verbs of ${words.join(' ')}`,
  );
  page.heading('SYNOPSIS');
  page.paragraph(['netloom', ...words, 'COMMAND [FLAG]… [ARGUMENT]…'].join(' '));
  for (const topic of TOPICS) {
    const rows = shown
      .filter((command) => command.topic === topic)
      .map((command) => [command.path.join(' '), command.brief] as const);
    if (rows.length === 0) continue;
    page.heading(topic.toUpperCase());
    page.definitions(rows);
  }
  page.heading('FLAGS OF EVERY COMMAND');
  page.definitions([
    ...Object.entries(GLOBAL_FLAGS).map(([name, view]) => [flagTitle(name, view, undefined), view.brief] as const),
    ['--help', 'Print the page of the command'],
  ]);
  if (words.length === 0) {
    page.heading('EXAMPLE');
    page.code('netloom network create --subnet 172.20.0.0/16 web');
    page.code('netloom run -d --name blog --network web -p 8888:80 python3 -m http.server 80');
    page.code('curl http://localhost:8888');
    page.heading('EXIT STATUS');
    page.definitions(EXIT_STATUS.map(([status, meaning]) => [String(status), meaning] as const));
    page.heading('ENVIRONMENT');
    page.definitions(ENVIRONMENT);
  }
  page.heading('SEE ALSO');
  page.paragraph('netloom COMMAND --help prints the page of a command.');
  return page.text();
}

/** One verb's page. */
export function renderCommand(command: CommandDef, io: Io): string {
  const page = new Page(io);
  const name = `netloom ${command.path.join(' ')}`;
  page.heading('NAME');
  page.paragraph(`${name} - ${lowerFirst(command.brief)}`);
  page.heading('SYNOPSIS');
  page.paragraph(synopsis(command));
  for (const path of command.otherPaths) page.paragraph(`netloom ${path.join(' ')} means the same.`);
  page.heading('DESCRIPTION');
  for (const part of command.description.split('\n\n')) page.paragraph(part);
  if (command.positionals.length > 0) {
    page.heading('ARGUMENTS');
    page.definitions(command.positionals.map((each) => [each.placeholder, each.brief]));
  }
  const own = Object.entries(command.flags).filter(([flag, view]) => view.hidden !== true && !(flag in GLOBAL_FLAGS));
  if (own.length > 0) {
    page.heading('FLAGS');
    page.definitions(
      own.map(([flag, view]) => [
        flagTitle(flag, view, command),
        view.variadic === true ? `${view.brief} (repeatable)` : view.brief,
      ]),
    );
  }
  page.heading('FLAGS OF EVERY COMMAND');
  page.definitions([
    ...Object.entries(GLOBAL_FLAGS).map(([flag, view]) => [flagTitle(flag, view, undefined), view.brief] as const),
    ['--help', 'Print this page'],
  ]);
  page.heading(command.examples.length === 1 ? 'EXAMPLE' : 'EXAMPLES');
  for (const example of command.examples) page.example(example.command, example.note);
  page.heading('EXIT STATUS');
  const numbers: readonly (number | string)[] = command.wrapsCommand
    ? [EXIT.ok, EXIT.netloom, EXIT.cannotRun, EXIT.notFound, 'else']
    : [EXIT.ok, EXIT.failure, EXIT.usage];
  page.definitions(
    EXIT_STATUS.filter(([status]) => numbers.includes(status)).map(
      ([status, meaning]) => [String(status), meaning.replace(/^run, exec: /, '')] as const,
    ),
  );
  return page.text();
}

/** `netloom run [FLAG]… COMMAND…` */
export function synopsis(command: CommandDef): string {
  const flags = Object.keys(command.flags).length > Object.keys(GLOBAL_FLAGS).length ? '[FLAG]…' : '';
  const words = command.positionals.map((each) => {
    const name = each.repeated ? `${each.placeholder}…` : each.placeholder;
    return each.optional ? `[${name}]` : name;
  });
  return ['netloom', ...command.path, flags, ...words].filter((word) => word !== '').join(' ');
}

/** `-p, --publish PORT` */
export function flagTitle(name: string, view: FlagView, command: CommandDef | undefined): string {
  const short = Object.entries(command?.shorts ?? {}).find(([, flag]) => flag === name)?.[0];
  const others = Object.entries(command?.longs ?? {}).flatMap(([typed, flag]) => (flag === name ? [`--${typed}`] : []));
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${kebab(name)}`, ...others].join(', ');
  return view.kind === 'boolean' ? names : `${names} ${view.placeholder ?? 'VALUE'}`;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

/** Text in the form of a manual page, wrapped to the terminal (at most 100 columns, so that it can be read). */
class Page {
  readonly #lines: string[] = [];
  readonly #width: number;
  readonly #bold: boolean;

  constructor(io: Io) {
    const asked = Number(io.env['COLUMNS'] ?? '');
    const columns =
      Number.isInteger(asked) && asked >= 40 ? asked : io.stdout.isTTY === true ? (io.stdout.columns ?? 80) : 80;
    this.#width = Math.min(100, Math.max(40, columns));
    this.#bold = isStyled(io.stdout, io.env);
  }

  heading(text: string): void {
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('');
    this.#lines.push(this.#bold ? `\u001b[1m${text}\u001b[0m` : text);
  }

  paragraph(text: string): void {
    if (this.#lines.at(-1)?.startsWith(' ') === true) this.#lines.push('');
    this.#lines.push(...wrap(text, this.#width, LEFT));
  }

  /** A line that is to be copied: never wrapped. */
  code(text: string): void {
    this.#lines.push(' '.repeat(LEFT) + text);
  }

  example(command: string, note: string): void {
    if (this.#lines.at(-1)?.startsWith(' ') === true) this.#lines.push('');
    this.code(command);
    this.#lines.push(...wrap(note, this.#width, LEFT + 4));
  }

  definitions(rows: readonly (readonly [term: string, meaning: string])[]): void {
    const column = Math.min(30, Math.max(...rows.map(([term]) => term.length))) + 2;
    for (const [term, meaning] of rows) {
      const body = wrap(meaning, this.#width, LEFT + column);
      if (term.length + 2 > column) this.#lines.push(' '.repeat(LEFT) + term, ...body);
      else this.#lines.push(' '.repeat(LEFT) + term.padEnd(column) + (body[0] ?? '').trimStart(), ...body.slice(1));
    }
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
