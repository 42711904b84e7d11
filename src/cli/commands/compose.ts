import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { CHANGE_FLAGS, flag, list, parsed, text } from '../flags.ts';
import type { DownFlags, UpFlags } from '../actions/compose.ts';
import { parseSeconds } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/compose.ts')> => import('../actions/compose.ts');

const up = define<UpFlags, string[]>({
  path: 'up',
  topic: 'Compose',
  brief: 'Make what a Compose file describes',
  description: `Creates the networks and containers of a Compose file and starts them, in the order that depends_on asks for. What is there already and still fits is left alone; only what differs is changed.

The keys are those of the Compose Specification. A key that netloom cannot honour (image, build, …) is an error with its file and line, unless the file lists it under x-netloom-ignore.`,
  examples: [
    { command: 'netloom up -d', note: 'compose.yaml of this directory, in the background.' },
    { command: 'netloom up -f shop.yaml -p shop -d web', note: 'Only the service web, and what it depends on.' },
    { command: 'netloom up --dry-run', note: 'Only show the commands it stands for.' },
  ],
  flags: {
    file: list('FILE', 'Compose file; several are merged (default: compose.yaml, docker-compose.yml)'),
    projectName: text('NAME', "Name of the project (default: the file's, else its directory's)"),
    projectDirectory: text('DIR', "Where relative paths in the file start (default: the first file's)"),
    profile: list('NAME', 'Services of this profile too'),
    removeOrphans: flag('Remove containers of services that the file has no longer'),
    detach: flag('Leave the containers running in the background'),
    ...CHANGE_FLAGS,
  },
  shorts: { f: 'file', p: 'projectName', d: 'detach' },
  args: {
    kind: 'array',
    parameter: { brief: 'Only these services, and what they depend on', parse: String, placeholder: 'SERVICE' },
  },
  completeFlag: { file: 'file', projectDirectory: 'directory' },
  load: async () => (await actions()).up,
});

const down = define<DownFlags, []>({
  path: 'down',
  topic: 'Compose',
  brief: 'Remove what up made',
  description: 'Stops and removes the containers of a project, and the networks that up created for it.',
  examples: [
    { command: 'netloom down', note: 'The project of this directory.' },
    { command: 'netloom down -p shop -t 2', note: 'By its name, with two seconds to end.' },
  ],
  flags: {
    file: list('FILE', 'Compose file; several are merged (default: compose.yaml, docker-compose.yml)'),
    projectName: text('NAME', "Name of the project (default: the file's, else its directory's)"),
    projectDirectory: text('DIR', "Where relative paths in the file start (default: the first file's)"),
    profile: list('NAME', 'Services of this profile too'),
    removeOrphans: flag('Remove containers of services that the file has no longer'),
    timeout: parsed('SECONDS', parseSeconds, 'Wait this long before SIGKILL (default: 10)'),
    ...CHANGE_FLAGS,
  },
  shorts: { f: 'file', p: 'projectName', t: 'timeout' },
  args: [],
  completeFlag: { file: 'file', projectDirectory: 'directory' },
  load: async () => (await actions()).down,
});

export const COMPOSE_COMMANDS: readonly CommandDef[] = [up, down];
