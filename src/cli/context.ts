import type { CommandContext, StricliProcess } from '@stricli/core';
import type { EngineApi } from '../model/index.ts';
import type { GlobalFlags } from './flags.ts';

/** A stream that text goes to: `process.stdout`, or a test's buffer. */
export interface Sink {
  /** False where the reader is slower than we are: `drain` follows. */
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  /** Width of the terminal in characters. */
  readonly columns?: number;
  once?(event: 'drain', listener: () => void): unknown;
}

/** What a command sees of the world. A test gives its own; nothing in src/cli touches `process` elsewhere but main.ts. */
export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdinIsTTY: boolean;
  /** All of it. */
  stdin(): Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file that this program was started by, for starting it again. */
  readonly program: string;
  /** Milliseconds since 1970. */
  now(): number;
  /** The daemon's client where one answers, else the engine in this process. */
  open(flags: GlobalFlags): Promise<EngineApi>;
}

/** `this` of every command's function. */
export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly io: Io;
}
