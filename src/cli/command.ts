import { buildCommand } from '@stricli/core';
import type {
  Aliases,
  Command,
  CommandFunction,
  FlagParametersForType,
  TypedCommandPositionalParameters,
} from '@stricli/core';
import type { CliContext } from './context.ts';
import type { GlobalFlags } from './flags.ts';
import { GLOBAL_FLAGS } from './flags.ts';

/** Headings of the overview, in this order. */
export const TOPICS = [
  'Containers',
  'Pods',
  'Networks',
  'Endpoints',
  'Address pools',
  'Nodes',
  'Compose',
  'CNI',
  'Podman',
  'Watch and mend',
  'Lab',
  'netloom itself',
] as const;
export type Topic = (typeof TOPICS)[number];

/** What a word on the command line stands for; completion asks for candidates by it. */
export type WordKind =
  | 'network'
  | 'container'
  | 'running'
  | 'pod'
  | 'endpoint'
  | 'pool'
  | 'node'
  /** A driver of networks, and `KEY=VALUE` of the one that the line names. */
  | 'driver'
  | 'option'
  /** A published port of the container that stands before it. */
  | 'published'
  /** A network of CNI's configuration. */
  | 'cni'
  /** A machine of a lab. */
  | 'machine'
  /** A named namespace. */
  | 'netns'
  | 'file'
  | 'directory'
  | 'command'
  | 'none';

export interface Example {
  readonly command: string;
  readonly note: string;
}

/** How a flag looks to the argument scanner, to help and to completion. */
export interface FlagView {
  readonly kind: 'boolean' | 'counter' | 'enum' | 'parsed';
  readonly brief: string;
  readonly placeholder?: string;
  readonly variadic?: boolean | string;
  readonly hidden?: boolean;
  readonly values?: readonly string[];
}
export interface PositionalView {
  readonly brief: string;
  readonly placeholder: string;
  readonly optional: boolean;
  readonly repeated: boolean;
}

/** One verb: what stricli runs, and what help, documentation, completion and argv's translation need to know of it. */
export interface CommandDef {
  readonly path: readonly string[];
  /** Other ways to say it: `container ls` for `ps`. */
  readonly otherPaths: readonly (readonly string[])[];
  readonly topic: Topic;
  readonly brief: string;
  readonly description: string;
  readonly examples: readonly Example[];
  readonly hidden: boolean;
  /** Flags end at the first positional: what follows belongs to the command that is run. */
  readonly wrapsCommand: boolean;
  readonly flags: Readonly<Record<string, FlagView>>;
  readonly shorts: Readonly<Record<string, string>>;
  /** Docker's second names of flags: `net` for `network`. */
  readonly longs: Readonly<Record<string, string>>;
  readonly positionals: readonly PositionalView[];
  readonly completeFlag: Readonly<Record<string, WordKind>>;
  readonly completeArgs: readonly WordKind[];
  readonly target: Command<CliContext>;
}

type AnyFlags = Readonly<Record<string, unknown>>;
interface Definition<FLAGS extends AnyFlags, ARGS extends readonly unknown[]> {
  readonly path: string;
  readonly otherPaths?: readonly string[];
  readonly topic: Topic;
  readonly brief: string;
  readonly description: string;
  readonly examples: readonly Example[];
  readonly hidden?: boolean;
  readonly wrapsCommand?: boolean;
  readonly flags: FlagParametersForType<Omit<FLAGS, keyof GlobalFlags>, CliContext>;
  readonly shorts?: Aliases<Extract<keyof FLAGS, string>>;
  readonly longs?: Readonly<Record<string, string>>;
  readonly args: TypedCommandPositionalParameters<ARGS, CliContext>['positional'] | readonly [];
  readonly completeFlag?: Readonly<Partial<Record<Extract<keyof FLAGS, string>, WordKind>>>;
  readonly completeArgs?: readonly WordKind[];
  /** Loads the function when the command runs, so that no command pays for another. */
  readonly load: () => Promise<CommandFunction<FLAGS, ARGS, CliContext>>;
}

/** Defines a verb. The global flags join its own. */
export function define<FLAGS extends AnyFlags, ARGS extends readonly unknown[]>(
  definition: Definition<FLAGS, ARGS>,
): CommandDef {
  const flags = { ...definition.flags, ...GLOBAL_FLAGS };
  const positional: PositionalShape =
    definition.args !== undefined && 'kind' in definition.args ? definition.args : { kind: 'tuple', parameters: [] };
  const parameters = { flags, aliases: definition.shorts ?? {}, positional };
  const target = buildCommand<FLAGS, ARGS, CliContext>({
    loader: definition.load,
    // stricli's parameter types are conditional on FLAGS, which is open here; `Definition` has checked the parts.
    parameters: parameters as never,
    docs: { brief: definition.brief, fullDescription: definition.description },
  });
  return {
    path: definition.path.split(' '),
    otherPaths: (definition.otherPaths ?? []).map((path) => path.split(' ')),
    topic: definition.topic,
    brief: definition.brief,
    description: definition.description,
    examples: definition.examples,
    hidden: definition.hidden ?? false,
    wrapsCommand: definition.wrapsCommand ?? false,
    flags: flags,
    shorts: definition.shorts ?? {},
    longs: definition.longs ?? {},
    positionals: viewsOf(positional),
    completeFlag: { socket: 'file', stateDir: 'directory', runDir: 'directory', ...definition.completeFlag },
    completeArgs: definition.completeArgs ?? [],
    target,
  };
}

interface ParameterShape {
  readonly brief: string;
  readonly placeholder?: string;
  readonly optional?: boolean;
}
type PositionalShape =
  | { readonly kind: 'tuple'; readonly parameters: readonly ParameterShape[] }
  | { readonly kind: 'array'; readonly parameter: ParameterShape; readonly minimum?: number };

function viewsOf(positional: PositionalShape): PositionalView[] {
  if (positional.kind === 'array') {
    const { brief, placeholder } = positional.parameter;
    return [{ brief, placeholder: placeholder ?? 'ARG', optional: (positional.minimum ?? 0) === 0, repeated: true }];
  }
  return positional.parameters.map(({ brief, placeholder, optional }) => ({
    brief,
    placeholder: placeholder ?? 'ARG',
    optional: optional ?? false,
    repeated: false,
  }));
}

/** `noTrunc` → `no-trunc`, as people type it. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
