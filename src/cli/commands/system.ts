import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { INSPECT_FLAGS, text } from '../flags.ts';
import type { GlobalFlags, InspectFlags } from '../flags.ts';
import type { DaemonFlags } from '../actions/system.ts';
import { UsageError } from '../errors.ts';

const actions = (): Promise<typeof import('../actions/system.ts')> => import('../actions/system.ts');

const daemon = define<DaemonFlags, []>({
  path: 'daemon',
  topic: 'netloom itself',
  brief: 'Serve the API on a socket',
  description:
    'Serves the REST API on a unix socket (mode 0660) until SIGTERM or SIGINT. Every other verb uses it where it runs, and the engine in its own process where it does not: both may work beside each other. systemd starts it by its socket.\n\nWhile it runs it keeps the kernel as it was asked to be, and answers names at the gateway of each network.',
  examples: [
    { command: 'netloom daemon', note: 'On /run/netloom/netloom.sock.' },
    {
      command: 'netloom daemon --socket /tmp/n.sock --state-dir /tmp/n --log-level debug',
      note: 'A second one, for a trial.',
    },
    { command: 'netloom daemon --metrics-listen 127.0.0.1:9464', note: 'For Prometheus to scrape.' },
  ],
  flags: {
    logLevel: {
      kind: 'enum',
      values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      optional: true,
      brief: 'How much to log (default: info)',
      placeholder: 'LEVEL',
    },
    metricsListen: text('ADDRESS:PORT', 'Serve /metrics by TCP, too (default: on the socket only)'),
    dockerSocket: text(
      'PATH',
      "Be Docker's network and address driver there, for root alone: /run/docker/plugins/netloom.sock (default: not)",
    ),
    dockerScope: {
      kind: 'enum',
      values: ['local', 'global'],
      optional: true,
      brief: "Whether Docker's networks are this host's, or a swarm's manager gives them out (default: local)",
      placeholder: 'SCOPE',
    },
    publishedPorts: {
      kind: 'enum',
      values: ['obey', 'open'],
      optional: true,
      brief:
        "Published ports that the host's own firewall refuses: closed to the outside, or open all the same (default: obey; environment: NETLOOM_PUBLISHED_PORTS)",
      placeholder: 'CHOICE',
    },
    group: text('GROUP', 'Group that may use the socket (default: netloom, where it exists)'),
  },
  args: [],
  load: async () => (await actions()).daemon,
});

const completion = define<GlobalFlags, [string]>({
  path: 'completion',
  topic: 'netloom itself',
  brief: 'Print a completion script for a shell',
  description: 'Prints a script that completes verbs, flags, and the names of networks and containers.',
  examples: [
    { command: 'source <(netloom completion bash)', note: 'This shell.' },
    { command: 'netloom completion bash > /etc/bash_completion.d/netloom', note: 'Every bash.' },
    { command: 'netloom completion zsh > "${fpath[1]}/_netloom"', note: 'Every zsh.' },
    { command: 'netloom completion fish > ~/.config/fish/completions/netloom.fish', note: 'Every fish.' },
  ],
  flags: {},
  args: { kind: 'tuple', parameters: [{ brief: 'bash, zsh or fish', parse: shellName, placeholder: 'SHELL' }] },
  load: async () => (await actions()).completion,
});

export const SHELLS: readonly string[] = ['bash', 'zsh', 'fish'];

function shellName(text: string): string {
  if (!SHELLS.includes(text))
    throw new UsageError(`there is no completion for "${text}"`, `There is one for ${SHELLS.join(', ')}.`);
  return text;
}

const version = define<InspectFlags, []>({
  path: 'version',
  topic: 'netloom itself',
  brief: 'Show versions',
  description:
    'Prints the versions of netloom, its API, Node and the kernel, and whether a daemon answers.\n\nFields of --format: .Version .ApiVersion .Node .Kernel .Mode',
  examples: [
    { command: 'netloom version', note: 'For people.' },
    { command: 'netloom version --json', note: 'For programs.' },
  ],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: [],
  load: async () => (await actions()).version,
});

const complete = define<GlobalFlags, string[]>({
  path: '_complete',
  topic: 'netloom itself',
  hidden: true,
  wrapsCommand: true,
  brief: 'List what may stand at the end of a command line',
  description: 'The completion scripts ask it: one candidate a line, a tab and its description where it has one.',
  examples: [{ command: "netloom _complete network rm ''", note: 'Not for people.' }],
  flags: {},
  args: { kind: 'array', parameter: { brief: 'Words of the line so far', parse: String, placeholder: 'WORD' } },
  load: async () => (await actions()).complete,
});

const docs = define<GlobalFlags, []>({
  path: '_docs',
  topic: 'netloom itself',
  hidden: true,
  brief: 'Print docs/cli.md',
  description: 'The page is made from the definitions of the commands.',
  examples: [{ command: 'netloom _docs > docs/cli.md', note: 'After a change of a command.' }],
  flags: {},
  args: [],
  load: async () => (await actions()).docs,
});

export const SYSTEM_COMMANDS: readonly CommandDef[] = [daemon, completion, version, complete, docs];
