import type { PodmanInstallFlags } from '../actions/podman-install.ts';
import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { flag, text } from '../flags.ts';

const actions = (): Promise<typeof import('../actions/podman-install.ts')> => import('../actions/podman-install.ts');

const FLAGS = {
  dir: text('DIR', 'Where it is (default: /usr/local/libexec/podman; with --plugin /usr/local/libexec/netavark)'),
  plugin: flag("As a plugin of netavark's, which stays, for networks of the driver netloom"),
};

const install = define<PodmanInstallFlags, []>({
  path: 'podman install',
  topic: 'Podman',
  brief: 'Put netloom in the place of netavark',
  description:
    'Puts a small program called netavark into the directory where Podman looks first: it hands each call to the daemon, or does it itself where none runs. What the distribution installed stays where it is. Containers that run now keep the network that they have, and have to be stopped before: their end is told to whoever is netavark then.',
  examples: [
    { command: 'netloom podman install', note: 'All networks of Podman, from the next container on.' },
    { command: 'netloom podman install --plugin', note: 'Those only that podman network create -d netloom makes.' },
  ],
  flags: { ...FLAGS, force: flag('Replace a file that is not ours') },
  args: [],
  completeFlag: { dir: 'directory' },
  load: async () => (await actions()).install,
});

const uninstall = define<PodmanInstallFlags, []>({
  path: 'podman uninstall',
  topic: 'Podman',
  brief: 'Take away what netloom podman install put in place',
  description:
    'A file that is not ours stays. Stop the containers before: netavark of the distribution cannot take down what netloom set up; netloom gc does, once they have ended.',
  examples: [{ command: 'netloom podman uninstall', note: 'The distribution’s netavark serves the next container.' }],
  flags: { ...FLAGS, force: flag('Take it away whosever it is') },
  args: [],
  completeFlag: { dir: 'directory' },
  load: async () => (await actions()).uninstall,
});

export const PODMAN_COMMANDS: readonly CommandDef[] = [install, uninstall];
