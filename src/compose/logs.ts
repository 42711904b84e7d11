import type { EngineApi } from '../model/index.ts';

/** Where text goes: a stream of Node, or anything that takes text. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  once?(event: 'drain', listener: () => void): unknown;
}

export interface FollowedContainer {
  readonly ref: string;
  /** What stands before its lines: `web-1`. */
  readonly label: string;
  /** Only so many of the lines that are there already; missing: all. */
  readonly tail?: number;
}

/** Foreground colours of ECMA-48, those that are readable on black and on white. */
const COLOURS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/**
 * Writes the logs of several containers line by line as they come, `web-1  | ` before each. Ends when all have ended.
 * With `announceExit` also says with which status each command ended.
 */
export async function followLogs(
  engine: EngineApi,
  containers: readonly FollowedContainer[],
  output: Output | undefined,
  options: { readonly follow: boolean; readonly colour: boolean; readonly announceExit?: boolean },
): Promise<void> {
  const width = Math.max(0, ...containers.map(({ label }) => label.length));
  await Promise.all(
    containers.map(async ({ ref, label, tail }, index) => {
      const plain = `${label.padEnd(width)}  | `;
      const prefix = options.colour ? `\u001b[${COLOURS[index % COLOURS.length]}m${plain}\u001b[0m` : plain;
      const logs = engine.containerLogs(ref, { follow: options.follow, ...(tail === undefined ? {} : { tail }) });
      for await (const line of linesOf(logs)) await write(output, `${prefix}${line}\n`);
      if (options.announceExit !== true) return;
      const status = await engine.containerWait(ref);
      await write(output, `${label} exited with code ${status}\n`);
    }),
  );
}

/** Lines without their ends. Whatever stands behind the last end is a line too. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

async function write(output: Output | undefined, text: string): Promise<void> {
  if (output === undefined || output.write(text) !== false || output.once === undefined) return;
  await new Promise<void>((resolve) => output.once!('drain', resolve));
}
