import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { RuntimeConf } from '../../src/libcni/index.ts';
import { run, type RunResult } from './run.ts';

const SOURCE = fileURLToPath(new URL('../conformance/libcni/main.go', import.meta.url));

/** The reference library as a program in `dir`, built of Debian's golang-github-appc-cni-dev without any network. */
export async function buildReference(dir: string): Promise<string> {
  const program = join(dir, 'libcni');
  const env = { GOPATH: '/usr/share/gocode', GO111MODULE: 'off', GOFLAGS: '', GOCACHE: join(dir, 'go') };
  const built = await run(['go', 'build', '-o', program, SOURCE], { env, timeout: 120_000 });
  if (built.status !== 0) throw new Error(`go build: ${built.stderr}`);
  rmSync(env.GOCACHE, { recursive: true });
  return program;
}

export interface ReferenceCall {
  readonly confDir: string;
  readonly network: string;
  readonly cacheDir: string;
  readonly path: string;
}

/** One call of the reference library. */
export function reference(program: string, verb: string, call: ReferenceCall, rt: RuntimeConf): Promise<RunResult> {
  const { confDir, network, cacheDir, path } = call;
  const { containerID, netns, ifName, args, capabilityArgs } = rt;
  const input = JSON.stringify({ containerID, netns, ifName, args, capabilityArgs });
  return run([program, verb, confDir, network, cacheDir, path], { input });
}

/** A call as a recording plugin saw it. */
export interface Recorded {
  readonly plugin: string;
  /** CNI_*, by name. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Readonly<Record<string, unknown>>;
}

const VARIABLES = ['CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH'];

/** A plugin that writes down what it is told, and answers ADD with `result`; one file a plugin in `dir`. */
export function recordingPlugin(dir: string, type: string, result: string): void {
  const file = join(dir, type);
  writeFileSync(`${file}.result`, result);
  const words = VARIABLES.map((name) => `"$${name}"`).join(' ');
  const format = `%s\\t${VARIABLES.map(() => '%s\\t').join('')}%s\\n`;
  writeFileSync(
    file,
    `#!/bin/sh
stdin=$(cat)
[ "$CNI_COMMAND" = VERSION ] && {
  echo '{"cniVersion": "1.1.0", "supportedVersions": ["0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]}'
  exit
}
printf '${format}' "\${0##*/}" ${words} "$stdin" >>"\${0%/*}/log"
[ "$CNI_COMMAND" != ADD ] || cat "$0.result"
`,
  );
  chmodSync(file, 0o755);
}

/** What was written down since the last look. */
export function recorded(dir: string): Recorded[] {
  const file = join(dir, 'log');
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  rmSync(file);
  return lines.map((line) => {
    const [plugin = '', ...words] = line.split('\t');
    const stdin = words.slice(VARIABLES.length).join('\t');
    return {
      plugin,
      env: Object.fromEntries(VARIABLES.map((name, i) => [name, words[i] ?? ''])),
      stdin: JSON.parse(stdin) as Recorded['stdin'],
    };
  });
}
