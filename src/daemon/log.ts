import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import { NetloomError } from '../errors.ts';

export type { Logger } from 'pino';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/**
 * A log on standard error: one JSON object a line, or lines for people where a person looks on.
 * @throws NetloomError EINVAL for an unknown level.
 */
export function openLog(options?: {
  readonly level?: string;
  readonly human?: boolean;
  readonly to?: Writable;
}): Logger {
  const level = options?.level ?? 'info';
  if (!LEVELS.includes(level)) {
    throw new NetloomError('EINVAL', `no log level '${level}'`, { hint: `one of ${LEVELS.join(', ')}` });
  }
  const human = options?.human ?? process.stderr.isTTY;
  const to = options?.to ?? pino.destination({ fd: 2, sync: true });
  return pino({ level, base: { pid: process.pid } }, human ? humanLines(to) : to);
}

/** Turns pino's JSON into `08:15:02 info  listening socket=/run/…`; a stack follows on its own lines. */
function humanLines(to: { write(text: string): unknown }): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      to.write(humanLine(line));
      done();
    },
  });
}

/** One line of pino's for people. */
export function humanLine(line: string): string {
  const { level, time, msg, pid: _pid, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toTimeString().slice(0, 8);
  const name = pino.levels.labels[Number(level)] ?? String(level);
  const pairs = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  return `${clock} ${name.padEnd(5)} ${String(msg ?? '')}${pairs.join('')}\n${stack === undefined ? '' : `${stack}\n`}`;
}
