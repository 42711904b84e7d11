import type { EngineApi } from './contract.ts';

/**
 * One call of a program that a runtime starts for each thing it wants, and that says all by its environment and its
 * standard input: a CNI plugin, an IPAM plugin, netavark. It comes from a process of its own, or through the daemon's
 * socket from the shim that stands in for one (native/call.c).
 */
export interface ProgramCall {
  /** The last part of what it was started as: `netloom`, `netloom-ipam`, `netavark`. */
  readonly program: string;
  /** The words after it. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All of it. */
  readonly stdin: string;
  /**
   * Path by which this process reaches the namespace that the call is about, where the caller handed it over: the caller's
   * own path may lead elsewhere here. Missing: what the call says.
   */
  readonly netns?: string;
  /** Says which call this is: one that is made again because its answer was lost has the same. */
  readonly request?: string;
  /** Whoever waited has gone: nothing more need be begun. What was made is taken back by `ProgramAnswer.undo`. */
  readonly signal?: AbortSignal;
  /**
   * Runs another plugin, which the caller names: an IPAM plugin. Undefined where none of the directories has it. Missing:
   * whoever made this call runs no others.
   */
  delegate?(plugin: DelegateCall): Promise<ProgramAnswer | undefined>;
  /** A file of the host as a whole, undefined where there is none. Missing: whoever made this call reads no files. */
  readFile?(path: string): Promise<string | undefined>;
  /** The engine, where the call needs one. The caller of this disposes of it. */
  open(): Promise<EngineApi>;
}

/** A plugin that another one starts. */
export interface DelegateCall {
  /** Its file's name. */
  readonly type: string;
  /** Directories, of which the first that has it counts. */
  readonly path: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
}

/** What the program's process leaves behind. */
export interface ProgramAnswer {
  readonly stdout: string;
  readonly stderr?: string;
  readonly status: number;
  /** Takes back what was made: for an answer that reached nobody. Missing: it made nothing that must not stay. */
  undo?(): Promise<void>;
  /** What is left to do that nobody waits for, once the answer is given. */
  after?(): Promise<void>;
}
