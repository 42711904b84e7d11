import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Machine } from './suite.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** A page of docs/install that is followed on a machine. */
export interface Guide {
  /**
   * Runs the next `sh` blocks, as they stand and each by one shell, until behind the one that has `last` in it, or to the
   * end of the page; what they print. Blocks called `console` are for readers.
   */
  follow(last?: string): Promise<string>;
}

/**
 * @param services what `systemctl enable --now NAME` and `restart NAME` do where there is no systemd: the test's own start of
 *   the program that the unit has
 */
export function openGuide(
  name: string,
  machine: Machine,
  services: Readonly<Record<string, () => Promise<unknown>>> = {},
): Guide {
  const page = readFileSync(`${CHECKOUT}docs/install/${name}.md`, 'utf8');
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text]) => text!);
  let next = 0;
  return {
    async follow(last) {
      if (last !== undefined && !blocks.slice(next).some((block) => block.includes(last)))
        throw new Error(`${name}.md has no block with "${last}" in it from here on`);
      let printed = '';
      while (next < blocks.length) {
        const block = blocks[next++]!;
        printed += await runBlock(machine, block, services);
        if (last !== undefined && block.includes(last)) break;
      }
      return printed;
    },
  };
}

async function runBlock(machine: Machine, block: string, services: Parameters<typeof openGuide>[2]): Promise<string> {
  let printed = '';
  let script = '';
  const flush = async (): Promise<void> => {
    if (script !== '') printed += await machine.ok(['sh', '-e'], { input: script, cwd: CHECKOUT, timeout: 60_000 });
    script = '';
  };
  for (const line of block.split('\n')) {
    const [, service] = /^systemctl (?:enable --now|restart) ([a-z-]+)$/.exec(line) ?? [];
    if (service === undefined) {
      script += `${line}\n`;
      continue;
    }
    await flush();
    const start = services?.[service];
    if (!start) throw new Error(`nobody says how ${service} is started here`);
    await start();
  }
  await flush();
  return printed;
}
