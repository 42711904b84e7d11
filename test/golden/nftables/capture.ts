/**
 * Captures what nft sends, for nftables.test.ts. Run by hand where nft and strace are installed:
 *
 *     node test/golden/nftables/capture.ts > test/golden/nftables/captures.json
 *
 * Each script runs in a fresh user and network namespace; the datagram that holds its batch is kept as hexadecimal.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { printCommand } from '../../../src/nftables/index.ts';
import { OBJECTS } from './objects.ts';
import { RULES, SETS } from './rules.ts';

export interface Captures {
  readonly nft: string;
  readonly kernel: string;
  /** Script, and the hexadecimal of its batch. */
  readonly batches: readonly (readonly [script: string, hex: string])[];
}

const families = [...new Set(RULES.map((rule) => rule.family))];
const sets = (family: string): string[] =>
  family === 'inet'
    ? SETS.map((set) => printCommand({ set: { family: 'inet', table: 't', ...set } }, 'add').replace(/^nft |'/g, ''))
    : [];

/** One script a family: every rule in it is one message of the batch, in the order of RULES. */
const ruleScripts = families.map((family) =>
  [
    `add table ${family} t`,
    `add chain ${family} t c`,
    `add chain ${family} t r`,
    ...sets(family),
    ...RULES.filter((rule) => rule.family === family).map((rule) => `add rule ${family} t r ${rule.text}`),
  ].join('\n'),
);

const scripts = [...Object.keys(OBJECTS), ...ruleScripts];
const dir = mkdtempSync(join(tmpdir(), 'capture-'));
try {
  const captures: Captures = {
    nft: execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim(),
    kernel: release(),
    batches: scripts.map((script) => [script, capture(script)]),
  };
  process.stdout.write(`${JSON.stringify(captures, undefined, 1)}\n`);
} finally {
  rmSync(dir, { recursive: true });
}

function capture(script: string): string {
  const [input, trace] = [join(dir, 'script'), join(dir, 'trace')];
  writeFileSync(input, `${script}\n`);
  const options = ['-o', trace, '-e', 'write=3', '-e', 'trace=sendmsg', '-s', '0'];
  execFileSync('unshare', ['-Urn', 'strace', ...options, 'nft', '-f', input], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // strace's dump: ` | 00010  14 00 00 00 …  text |`
  const lines = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(' | '));
  return lines.map((line) => line.slice(9, 9 + 50).replaceAll(' ', '')).join('');
}
