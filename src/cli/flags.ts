import type { FlagParametersForType } from '@stricli/core';
import type { CliContext } from './context.ts';

/** On every verb, and before it: `netloom --json ps`. */
export interface GlobalFlags extends Readonly<Record<string, unknown>> {
  readonly json?: boolean;
  readonly socket?: string;
  readonly stateDir?: string;
  readonly runDir?: string;
}
/** On every verb that changes something. */
export interface ChangeFlags extends GlobalFlags {
  readonly explain?: boolean;
  readonly dryRun?: boolean;
}
/** On every verb that lists. */
export interface ListFlags extends GlobalFlags {
  readonly quiet?: boolean;
  readonly noTrunc?: boolean;
  readonly format?: string;
}
export interface InspectFlags extends GlobalFlags {
  readonly format?: string;
}

type Own<FLAGS> = FlagParametersForType<Omit<FLAGS, keyof GlobalFlags>, CliContext>;

/** A flag that is there or not. */
export function flag(brief: string): { kind: 'boolean'; optional: true; brief: string; withNegated: false } {
  return { kind: 'boolean', optional: true, brief, withNegated: false };
}
/** A flag with one text value. */
export function text(
  placeholder: string,
  brief: string,
): { kind: 'parsed'; parse: (input: string) => string; optional: true; placeholder: string; brief: string } {
  return { kind: 'parsed', parse: String, optional: true, placeholder, brief };
}
/** A flag with one value that `parse` understands. */
export function parsed<T>(
  placeholder: string,
  parse: (input: string) => T | Promise<T>,
  brief: string,
): { kind: 'parsed'; parse: (input: string) => T | Promise<T>; optional: true; placeholder: string; brief: string } {
  return { kind: 'parsed', parse, optional: true, placeholder, brief };
}
/** A flag that may be given several times. */
export function list<T = string>(
  placeholder: string,
  brief: string,
  parse?: (input: string) => T | Promise<T>,
): {
  kind: 'parsed';
  parse: (input: string) => T | Promise<T>;
  optional: true;
  variadic: true;
  placeholder: string;
  brief: string;
} {
  return {
    kind: 'parsed',
    parse: parse ?? (String as unknown as (input: string) => T),
    optional: true,
    variadic: true,
    placeholder,
    brief,
  };
}

export const GLOBAL_FLAGS: Readonly<
  Record<'json' | 'socket' | 'stateDir' | 'runDir', ReturnType<typeof flag> | ReturnType<typeof text>>
> = {
  json: flag('Print one JSON document, also for an error'),
  socket: text('PATH', 'Socket of the daemon (environment: NETLOOM_SOCKET)'),
  stateDir: text('DIR', 'Where networks and containers are recorded (environment: NETLOOM_STATE_DIR)'),
  runDir: text('DIR', 'Where sockets, logs and namespaces live (environment: NETLOOM_RUN_DIR)'),
};

export const CHANGE_FLAGS: Own<ChangeFlags> = {
  explain: flag('Print the plan as commands that sh can run, then do it'),
  dryRun: flag('Print the plan and change nothing'),
};

export const LIST_FLAGS: Own<ListFlags> = {
  quiet: flag('Print ids only'),
  noTrunc: flag('Print everything in full length'),
  format: text('TEMPLATE', "`json`, or a template of Docker's field names: '{{.ID}} {{.Name}}'"),
};

export const INSPECT_FLAGS: Own<InspectFlags> = {
  format: text('TEMPLATE', "`json`, or a template of Docker's field names: '{{.Name}}'"),
};
