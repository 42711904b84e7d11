import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCommand } from '../podman/index.ts';
import type { GlobalFlags } from './flags.ts';

/** Where a call of netavark finds what other programs have in fixed places; missing: there, too. */
export interface NetavarkWays {
  stdin?(): string;
  readonly flags?: GlobalFlags;
}

/**
 * What the command line says of it. A user's Podman runs in namespaces of its own where the machine's directories are not
 * to be written: what is ours lies beside what is Podman's, and is gone with it.
 */
export function netavarkWays(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): NetavarkWays {
  let command;
  try {
    command = parseCommand(argv);
  } catch {
    return { stdin: () => '' }; // the program says what is wrong with it
  }
  const { verb, file, rootless, config } = command;
  const reads = verb === 'setup' || verb === 'teardown' || verb === 'create';
  const given = (name: string): boolean => (env[name] ?? '') !== '';
  return {
    ...(reads ? file !== '' && file !== '-' && { stdin: () => read(file) } : { stdin: () => '' }),
    ...(rootless &&
      config !== '' && {
        flags: {
          ...(!given('NETLOOM_STATE_DIR') && { stateDir: join(config, 'netloom/state') }),
          ...(!given('NETLOOM_RUN_DIR') && { runDir: join(config, 'netloom/run') }),
        },
      }),
  };
}

/** Empty where it cannot be read: the program says so. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
