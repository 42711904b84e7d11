import type { CommandDef } from './command.ts';
import { TOPICS } from './command.ts';
import { ENVIRONMENT, EXIT_STATUS, flagTitle, synopsis } from './help.ts';
import { GLOBAL_FLAGS } from './flags.ts';

/** docs/cli.md, made from the definitions of the commands; a test compares the two. */
export function renderDocs(commands: readonly CommandDef[]): string {
  const shown = commands.filter((command) => !command.hidden);
  const out: string[] = [
    '<!-- Made by `bin/netloom _docs > docs/cli.md` from src/cli/commands. Do not edit. -->',
    '# The command line',
    '',
    "Words and flags are Docker's where Docker has them. Short flags may be grouped (`-itd`), a value may be attached (`-p8888:80`) or follow `=`, and the flags of every command may stand before it: `netloom --json ps`. Names, ids and unique beginnings of ids are accepted alike.",
    '',
  ];
  for (const topic of TOPICS) {
    out.push(
      `- ${topic}: ${shown
        .filter((command) => command.topic === topic)
        .map((command) => `[${command.path.join(' ')}](#netloom-${command.path.join('-')})`)
        .join(', ')}`,
    );
  }
  out.push(
    '',
    '## Flags of every command',
    '',
    ...table(
      ['Flag', 'Meaning'],
      [
        ...Object.entries(GLOBAL_FLAGS).map(([name, view]) => [code(flagTitle(name, view, undefined)), view.brief]),
        [code('--help'), 'Print the page of the command'],
      ],
    ),
  );
  out.push(
    '',
    '## What is printed',
    '',
    '- Tables are for people. On a terminal (or where `COLUMNS` is set) they fit its width; into a pipe nothing is cut for want of room.',
    '- `--json` prints one JSON document: the API\'s own records (`docs/api.md`), the same from the daemon and from the engine in this process. A failure prints `{"error": {"code", "message", "hint"}}` on standard output, beside the text on standard error. `events` and `dns log` have no end: they print a document a line.',
    "- `--format` takes `json` (one object a line), `table TEMPLATE`, or a Go template over Docker's field names: fields, `range`, `if`, `with`, variables, pipes, and json, index, len, join, split, lower, upper, title, print, printf, println, eq, ne, lt, le, gt, ge, not, and, or.",
    "- `--explain` prints the plan of a change as commands grouped under the object that wants them, and makes the change; `--dry-run` only prints it. Standard output is then a script for sh: a result follows as a comment. `run` in the foreground prints the plan on standard error, since standard output is the command's.",
    '- Errors are `netloom: MESSAGE`, and a second line with what can be done about it.',
    '',
    '## Exit status',
    '',
    ...table(
      ['Status', 'Meaning'],
      EXIT_STATUS.map(([status, meaning]) => [String(status), meaning]),
    ),
    '',
    '## Environment',
    '',
    ...table(
      ['Variable', 'Meaning'],
      ENVIRONMENT.map(([name, meaning]) => [code(name), meaning]),
    ),
  );
  for (const topic of TOPICS) {
    for (const command of shown.filter((each) => each.topic === topic)) out.push('', ...section(command));
  }
  return `${out.join('\n')}\n`;
}

function section(command: CommandDef): string[] {
  const out = [
    `## netloom ${command.path.join(' ')}`,
    '',
    `${command.brief}.`,
    '',
    '```',
    synopsis(command),
    '```',
    '',
    ...command.description.split('\n\n').flatMap((part) => [escape(part), '']),
  ];
  if (command.otherPaths.length > 0)
    out.push(`Also: ${command.otherPaths.map((path) => code(`netloom ${path.join(' ')}`)).join(', ')}.`, '');
  const flags = Object.entries(command.flags).filter(([name, view]) => view.hidden !== true && !(name in GLOBAL_FLAGS));
  if (flags.length > 0) {
    out.push(
      ...table(
        ['Flag', 'Meaning'],
        flags.map(([name, view]) => [
          code(flagTitle(name, view, command)),
          view.variadic === true ? `${view.brief} (repeatable)` : view.brief,
        ]),
      ),
      '',
    );
  }
  out.push(
    '```sh',
    ...command.examples.flatMap((example, index) => [...(index > 0 ? [''] : []), `# ${example.note}`, example.command]),
    '```',
  );
  return out;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(titles),
    line(titles.map(() => '---')),
    ...rows.map((row) => line(row.map((cell, index) => (index === 0 ? cell : escape(cell))))),
  ];
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Outside code, Markdown would read these as its own. */
function escape(text: string): string {
  return text.replaceAll(/[<>*_[\]]/g, (sign) => `\\${sign}`);
}
