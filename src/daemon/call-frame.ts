import { endianness } from 'node:os';
import type { ProgramAnswer } from '../model/index.ts';

/** One call as it comes through the socket: native/call.c has the other side, and says how the bytes lie. */
export interface Question {
  readonly program: string;
  readonly request: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** Bytes; more is refused before it is read. */
export const TEXT_MAX: number = 1 << 20;
export const INPUT_MAX: number = 4 << 20;
const QUESTION = 'NLC1';
const ANSWER = 'NLA1';
const HEAD = 20;

/** What was said is no call of this version. */
export class FrameError extends Error {}

/** Puts one question together from what arrives. */
export class QuestionReader {
  #parts: Buffer[] = [];
  #size = 0;
  #wanted = HEAD;
  #head: Head | undefined;

  /** @returns the question once all of it is there; what comes after it is left alone. @throws FrameError */
  push(part: Buffer): Question | undefined {
    this.#parts.push(part);
    this.#size += part.length;
    if (this.#size < this.#wanted) return undefined;
    let all = this.#joined();
    if (this.#head === undefined) {
      this.#head = readHead(all);
      this.#wanted = HEAD + this.#head.text + this.#head.input;
      if (this.#size < this.#wanted) return undefined;
      all = this.#joined();
    }
    return readBody(all, this.#head);
  }

  #joined(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0]!;
  }
}

interface Head {
  readonly words: number;
  readonly variables: number;
  /** Bytes. */
  readonly text: number;
  readonly input: number;
}

function readHead(bytes: Buffer): Head {
  if (bytes.toString('latin1', 0, 4) !== QUESTION) throw new FrameError('it is no call, or one of another version');
  const [words, variables, text, input] = [4, 8, 12, 16].map((at) => number(bytes, at)) as [
    number,
    number,
    number,
    number,
  ];
  if (text > TEXT_MAX) throw new FrameError(`${text} bytes of words and variables`);
  if (input > INPUT_MAX) throw new FrameError(`${input} bytes of input`);
  return { words, variables, text, input };
}

function readBody(bytes: Buffer, { words, variables, text, input }: Head): Question {
  const end = HEAD + text;
  const texts = bytes.toString('utf8', HEAD, end).split('\0');
  // program and token come first, and behind the last NUL is nothing
  if (texts.pop() !== '' || texts.length !== 2 + words + variables)
    throw new FrameError(`${texts.length} texts, and ${2 + words + variables} were announced`);
  const [program = '', request = '', ...rest] = texts;
  if (!/^[0-9a-f]{32}$/.test(request)) throw new FrameError('the token is no token');
  const env: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of rest.slice(words)) {
    const at = pair.indexOf('=');
    if (at < 1) throw new FrameError('a variable without a name');
    // as getenv(3): the first one counts
    env[pair.slice(0, at)] ??= pair.slice(at + 1);
  }
  return { program, request, argv: rest.slice(0, words), env, stdin: bytes.toString('utf8', end, end + input) };
}

/** The bytes of an answer. */
export function answerFrame({ stdout, stderr = '', status }: ProgramAnswer): Buffer {
  const [out, err] = [Buffer.from(stdout), Buffer.from(stderr)];
  const head = Buffer.alloc(16);
  head.write(ANSWER, 'latin1');
  for (const [i, value] of [status, out.length, err.length].entries()) put(head, 4 + 4 * i, value);
  return Buffer.concat([head, out, err]);
}

/** Both ends are on one machine. */
const LITTLE: boolean = endianness() === 'LE';
function number(bytes: Buffer, at: number): number {
  return LITTLE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}
function put(bytes: Buffer, at: number, value: number): void {
  if (LITTLE) bytes.writeUInt32LE(value, at);
  else bytes.writeUInt32BE(value, at);
}
