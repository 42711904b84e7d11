import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LabHost } from './lab.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export interface FollowOptions {
  /** The hosts that blocks name: "```sh a b" is run on both, one after the other. */
  readonly hosts: Readonly<Record<string, LabHost>>;
  /** The folder in which all of it is typed. */
  readonly cwd: string;
  /** What `systemctl … NAME` does on a host, where there is no systemd. */
  readonly services?: Readonly<Record<string, (host: LabHost) => Promise<unknown>>>;
  /** Lines that only a real machine can do: packages, owners. */
  readonly skip?: RegExp;
}

/** A page's section about several hosts. */
export interface Following {
  /** Runs its blocks on their hosts, until behind the one that has `last` in it, or to the end; what they print. */
  next(last?: string): Promise<string>;
}

/** @param heading of the section, which ends with the next one of its rank; empty for the whole page */
export function follow(page: string, heading: string, options: FollowOptions): Following {
  const found = sectionOf(page, heading).matchAll(/^( *)```sh ([a-z0-9 ]+)\n([^]*?)^\1```$/gm);
  // those of a list are as far in as it is
  const blocks = [...found].map(([, indent = '', names = '', text = '']) => ({
    names: names.trim().split(' '),
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
  if (blocks.length === 0) throw new Error(`${page}: nothing to be done below "${heading}"`);
  let at = 0;
  return {
    async next(last) {
      if (last !== undefined && !blocks.slice(at).some(({ text }) => text.includes(last)))
        throw new Error(`${page} has no block with "${last}" in it from here on`);
      let printed = '';
      while (at < blocks.length) {
        const { names, text } = blocks[at++]!;
        for (const name of names) printed += await runBlock(name, text, options);
        if (last !== undefined && text.includes(last)) break;
      }
      return printed;
    },
  };
}

function sectionOf(page: string, heading: string): string {
  const text = readFileSync(`${CHECKOUT}docs/${page}`, 'utf8');
  if (heading === '') return text;
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line === heading);
  if (first < 0) throw new Error(`${page} has no "${heading}"`);
  const rank = heading.indexOf(' ');
  const length = lines.slice(first + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= rank);
  return lines.slice(first, length < 0 ? undefined : first + 1 + length).join('\n');
}

async function runBlock(name: string, block: string, { hosts, cwd, services, skip }: FollowOptions): Promise<string> {
  const host = hosts[name];
  if (!host) throw new Error(`nobody is called ${name} here`);
  let printed = '';
  let script = '';
  const flush = async (): Promise<void> => {
    const input = `mkdir -p '${cwd}'\ncd '${cwd}'\n${script}`;
    if (script !== '') printed += await host.ok(['sh', '-e'], { input, timeout: 60_000 });
    script = '';
  };
  for (const line of block.split('\n')) {
    const [, service] = /^systemctl .*?([a-z]+)$/.exec(line) ?? [];
    if (skip?.test(line)) continue;
    if (service === undefined) {
      script += `${line}\n`;
      continue;
    }
    await flush();
    const act = services?.[service];
    if (!act) throw new Error(`nobody says what becomes of ${service} here`);
    await act(host);
  }
  await flush();
  return printed;
}
