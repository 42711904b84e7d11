/**
 * Captures what conntrack(8) sends and what the kernel answers, for conntrack.test.ts. Run by hand where conntrack and
 * strace are installed:
 *
 *     node test/golden/conntrack/capture.ts > test/golden/conntrack/captures.json
 *
 * Each entry is inserted into a fresh user and network namespace and deleted again under strace.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENTRIES } from './entries.ts';

export interface Captures {
  readonly conntrack: string;
  readonly kernel: string;
  readonly entries: readonly {
    /** Arguments of `conntrack -I`. */
    readonly insert: string;
    /** The kernel's answer to a dump, and the request that deletes the entry: hexadecimal. */
    readonly dumped: string;
    readonly deleted: string;
  }[];
}

const dir = mkdtempSync(join(tmpdir(), 'capture-'));
try {
  const captures: Captures = {
    conntrack: execFileSync('conntrack', ['--version'], { encoding: 'utf8' }).trim(),
    kernel: release(),
    entries: Object.keys(ENTRIES).map((insert) => ({ insert, ...capture(insert) })),
  };
  process.stdout.write(`${JSON.stringify(captures, undefined, 1)}\n`);
} finally {
  rmSync(dir, { recursive: true });
}

function capture(insert: string): { dumped: string; deleted: string } {
  const trace = join(dir, 'trace');
  const family = insert.includes(':') ? '-f ipv6 ' : '';
  const protocol = insert.split(' ')[1];
  const strace = `strace -o ${trace} -e trace=sendto,recvmsg -e write=all -e read=all -s 0`;
  const script = `conntrack -I ${insert} >&2 && ${strace} conntrack -D ${family}-p ${protocol} >&2`;
  execFileSync('unshare', ['-Urn', 'sh', '-c', script], { stdio: ['ignore', 'ignore', 'ignore'] });
  const messages = readFileSync(trace, 'utf8')
    .split(/^(?=\w+\()/m)
    .map((call) => ({
      name: /^\w+/.exec(call)?.[0],
      hex: [...call.matchAll(/^ \| [0-9a-f]+ {2}(.{48})/gm)].map((m) => m[1]!.replaceAll(' ', '')).join(''),
    }));
  // in order: the request for a dump, its answer, the request to delete
  const [, dumped, deleted] = messages.filter((message) => message.hex !== '');
  return { dumped: dumped!.hex, deleted: deleted!.hex };
}
