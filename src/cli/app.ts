import { inspect } from 'node:util';
import {
  AliasNotFoundError,
  ArgumentParseError,
  EnumValidationError,
  FlagNotFoundError,
  UnexpectedPositionalError,
  UnsatisfiedFlagError,
  UnsatisfiedPositionalError,
  buildApplication,
  buildRouteMap,
  run,
  text_en,
} from '@stricli/core';
import type { Application, ApplicationText, RouteMap } from '@stricli/core';
import { hasCode } from '../errors.ts';
import { translate } from './argv.ts';
import type { Translated } from './argv.ts';
import type { CommandDef } from './command.ts';
import { kebab } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import type { CliContext, Io } from './context.ts';
import { EXIT, ManyErrors, UsageError, describe, renderError } from './errors.ts';
import type { ErrorRecord } from './errors.ts';
import { nearest } from './nearest.ts';

/** Runs one command line; the answer is the exit status. Throws nothing. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const report = (error: unknown, json: boolean): void => reportError(error, json, io);
  let line: Translated;
  try {
    line = translate(argv, COMMANDS);
  } catch (error) {
    report(error, argv.includes('--json'));
    return EXIT.usage;
  }
  if (line.version) line = translate(['version', ...(line.json ? ['--json'] : [])], COMMANDS);
  const rest = line.argv.slice(line.words.length).filter((word) => !word.startsWith('-'));
  if (line.command === undefined && (line.help || rest.length === 0)) return await showHelp(line, rest, io);
  if (line.command !== undefined && line.help) return await showHelp(line, [], io);
  if (line.command === undefined) {
    report(unknownCommand(line.words, rest[0] ?? ''), line.json);
    return EXIT.usage;
  }
  return await runCommand(line.command, line, io, report);
}

async function showHelp(line: Translated, rest: readonly string[], io: Io): Promise<number> {
  if (rest.length > 0) {
    reportError(unknownCommand(line.words, rest[0] ?? ''), line.json, io);
    return EXIT.usage;
  }
  const { renderCommand, renderOverview } = await import('./help.ts');
  const page = line.command === undefined ? renderOverview(COMMANDS, line.words, io) : renderCommand(line.command, io);
  io.stdout.write(page);
  return EXIT.ok;
}

function unknownCommand(words: readonly string[], word: string): UsageError {
  const at = words.length;
  const known = COMMANDS.filter((command) => !command.hidden)
    .flatMap((command) => [command.path, ...command.otherPaths])
    .filter((path) => words.every((each, index) => path[index] === each))
    .map((path) => path[at] ?? '');
  const near = nearest(word, known);
  const typed = [...words, word].join(' ');
  const page = ['netloom', ...words, '--help'].join(' ');
  return new UsageError(
    `unknown command "${typed}"`,
    near === undefined ? `${page} lists the commands.` : `Did you mean "${[...words, near].join(' ')}"?`,
  );
}

async function runCommand(
  command: CommandDef,
  line: Translated,
  io: Io,
  report: (error: unknown, json: boolean) => void,
): Promise<number> {
  const usageStatus = command.wrapsCommand ? EXIT.netloom : EXIT.usage;
  const failureStatus = command.wrapsCommand ? EXIT.netloom : EXIT.failure;
  let failure: { error: unknown; status: number } | undefined;
  const note = (error: unknown, status: number): string => {
    failure ??= { error, status: error instanceof UsageError ? usageStatus : statusOf(error, command, status) };
    return '';
  };
  const text: ApplicationText = {
    ...text_en,
    exceptionWhileParsingArguments: (error) => note(parsingError(error, command), usageStatus),
    exceptionWhileLoadingCommandFunction: (error) => note(error, failureStatus),
    exceptionWhileRunningCommand: (error) => note(error, failureStatus),
    commandErrorResult: (error) => note(error, failureStatus),
  };
  const application: Application<CliContext> = buildApplication<CliContext>(
    routes(command),
    {
      name: 'netloom',
      scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
      documentation: { disableAnsiColor: true },
      localization: { text },
    },
    {},
  );
  // stricli writes only what `text` returns, and `note` keeps that to itself: the report is ours, in one form.
  const process: {
    stdout: { write(chunk: string): void };
    stderr: { write(chunk: string): void };
    env: Record<string, string>;
    exitCode?: number;
  } = {
    stdout: { write: (chunk) => void io.stdout.write(chunk) },
    stderr: { write: () => undefined },
    env: {},
  };
  await run(application, line.argv, { process, io });
  if (failure !== undefined) {
    report(failure.error, line.json);
    return failure.status;
  }
  const status = process.exitCode ?? EXIT.ok;
  return status < 0 ? failureStatus : status;
}

/** The command that `run -d` was to start is no failure of netloom's: env(1) has the numbers. */
function statusOf(error: unknown, command: CommandDef, otherwise: number): number {
  if (!command.wrapsCommand) return otherwise;
  if (hasCode(error, 'ECOMMANDNOTFOUND')) return EXIT.notFound;
  return hasCode(error, 'ECOMMAND') ? EXIT.cannotRun : otherwise;
}

/** Only the verb asked for: stricli then walks one path instead of building them all. */
function routes(command: CommandDef): RouteMap<CliContext> {
  const [first = '', ...more] = command.path;
  const inner = more.length === 0 ? command.target : routes({ ...command, path: more });
  return buildRouteMap<string, CliContext>({ routes: { [first]: inner }, docs: { brief: 'netloom' } });
}

function parsingError(error: unknown, command: CommandDef): unknown {
  const page = `netloom ${command.path.join(' ')} --help shows how it is used.`;
  if (error instanceof FlagNotFoundError) {
    const names = [...Object.keys(command.flags).map(kebab), ...Object.keys(command.longs)];
    const near = nearest(error.input, names);
    return new UsageError(`unknown flag --${error.input}`, near === undefined ? page : `Did you mean --${near}?`);
  }
  if (error instanceof AliasNotFoundError) return new UsageError(`unknown flag -${error.input}`, page);
  if (error instanceof UnsatisfiedFlagError)
    return new UsageError(`--${kebab(error.externalFlagName)} needs a value`, page);
  if (error instanceof UnsatisfiedPositionalError) return new UsageError(`${error.placeholder} is missing`, page);
  if (error instanceof UnexpectedPositionalError)
    return new UsageError(`"${error.input}" is one argument too many`, page);
  if (error instanceof EnumValidationError) {
    return new UsageError(
      `--${kebab(error.externalFlagName)} cannot be "${error.input}"`,
      `It is one of ${error.values.join(', ')}.`,
    );
  }
  if (error instanceof ArgumentParseError) {
    const cause = describe(error.exception);
    const place = /^[a-z]/.test(error.externalFlagNameOrPlaceholder)
      ? `--${kebab(error.externalFlagNameOrPlaceholder)}`
      : error.externalFlagNameOrPlaceholder;
    return new UsageError(
      `${place}: ${cause.message}`,
      cause.hint === '' || cause.code === 'EINTERNAL' ? page : cause.hint,
    );
  }
  return error;
}

function reportError(error: unknown, json: boolean, io: Io): void {
  const errors = error instanceof ManyErrors ? error.errors : [error];
  const records = errors.map(describe);
  for (const record of records) io.stderr.write(renderError(record));
  if (io.env['NETLOOM_DEBUG'] !== undefined) for (const each of errors) io.stderr.write(`${inspect(each)}\n`);
  if (json) io.stdout.write(`${JSON.stringify(errorDocument(error, records), undefined, 2)}\n`);
}

function errorDocument(error: unknown, records: readonly ErrorRecord[]): unknown {
  if (!(error instanceof ManyErrors)) return { error: records[0] };
  return { error: records[0], errors: records, results: error.results };
}
