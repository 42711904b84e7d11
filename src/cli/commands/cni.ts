import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { flag, list, parsed, text } from '../flags.ts';
import type { GcFlags, LsFlags } from '../actions/cni.ts';
import type { InstallFlags, UninstallFlags } from '../actions/cni-install.ts';
import { capability, parseArg, parseKept } from '../parse/cni-words.ts';
import type { AttachmentFlags, PlaceFlags } from '../parse/cni-words.ts';
import { publish } from '../parse/lazy.ts';
import { parseSeconds } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/cni.ts')> => import('../actions/cni.ts');
const installing = (): Promise<typeof import('../actions/cni-install.ts')> => import('../actions/cni-install.ts');

const PLACES = {
  confDir: text('DIR', 'Where configurations are (environment: NETCONFPATH; default: /etc/cni/net.d)'),
  pluginDir: list('DIR', 'Where plugins are (environment: CNI_PATH; default: /opt/cni/bin and /usr/lib/cni)'),
  cacheDir: text('DIR', 'Where results are kept (default: /var/lib/cni)'),
  timeout: parsed('SECONDS', parseSeconds, 'Time for each plugin, after which it is killed (default: none)'),
};
const WHICH = {
  ifname: text('NAME', 'Name of the interface inside (environment: CNI_IFNAME; default: eth0)'),
  containerId: text('ID', "The container's id (default: of the namespace's path, as cnitool has it)"),
  args: list('KEY=VALUE', 'An argument for the plugins (environment: CNI_ARGS)', parseArg),
  capability: list('NAME=JSON', 'What a capability is to be told (environment: CAP_ARGS)', (word) => capability(word)),
};
const COMPLETE = { confDir: 'directory', pluginDir: 'directory', cacheDir: 'directory' } as const;
const NETWORK = { brief: 'Name in a configuration, not of its file', parse: String, placeholder: 'NETWORK' };
const NETNS = { brief: 'Name as ip netns has it, or path', parse: String, placeholder: 'NETNS' };
const SAME =
  'Arguments and capabilities that are not given are those of ADD, and a configuration that is gone is that of ADD, too.';

const add = define<AttachmentFlags, [string, string]>({
  path: 'cni add',
  topic: 'CNI',
  brief: 'Connect a namespace by CNI plugins',
  description: `Runs the plugins of a configuration, netloom's or any others, as a container runtime does, and shows what came of it; --json prints the plugins' own result. It is kept for check and del, in the form of the reference library.

-p, --ip and --mac are the capabilities portMappings, ips and mac: they reach the plugins that declare them.`,
  examples: [
    { command: 'netloom cni add dbnet blue', note: 'The namespace that ip netns add blue made.' },
    { command: 'netloom cni add -p 8080:80 --ip 10.1.0.9/16 dbnet blue', note: 'With a port and an address.' },
    {
      command: 'netloom cni add --conf-dir ./net.d --plugin-dir /usr/lib/cni --json dbnet /proc/4711/ns/net',
      note: 'A trial, for programs.',
    },
  ],
  flags: {
    ...WHICH,
    publish: list('PORT', 'Publish a port, as in netloom run', publish),
    ip: list('ADDRESS/LENGTH', 'The address to have'),
    mac: text('MAC', 'The MAC address to have'),
    ...PLACES,
  },
  shorts: { i: 'ifname', p: 'publish' },
  args: { kind: 'tuple', parameters: [NETWORK, NETNS] },
  completeFlag: COMPLETE,
  completeArgs: ['cni', 'netns'],
  load: async () => (await actions()).add,
});

const check = define<AttachmentFlags, [string, string]>({
  path: 'cni check',
  topic: 'CNI',
  brief: 'Ask CNI plugins whether an attachment is as they made it',
  description: `Ends with 1, and with the plugin's own words, where it is not. ${SAME}`,
  examples: [{ command: 'netloom cni check dbnet blue', note: 'After netloom cni add dbnet blue.' }],
  flags: { ...WHICH, ...PLACES },
  shorts: { i: 'ifname' },
  args: { kind: 'tuple', parameters: [NETWORK, NETNS] },
  completeFlag: COMPLETE,
  completeArgs: ['cni', 'netns'],
  load: async () => (await actions()).check,
});

const del = define<AttachmentFlags, [string, string]>({
  path: 'cni del',
  otherPaths: ['cni rm'],
  topic: 'CNI',
  brief: 'Take a namespace off a CNI network',
  description: `Runs the plugins in reverse order, whether the namespace is still there or not; it may be done again. ${SAME}`,
  examples: [{ command: 'netloom cni del dbnet blue', note: 'After netloom cni add dbnet blue.' }],
  flags: { ...WHICH, ...PLACES },
  shorts: { i: 'ifname' },
  args: { kind: 'tuple', parameters: [NETWORK, NETNS] },
  completeFlag: COMPLETE,
  completeArgs: ['cni', 'netns'],
  load: async () => (await actions()).del,
});

const gc = define<GcFlags, [string]>({
  path: 'cni gc',
  topic: 'CNI',
  brief: 'Take away what CNI plugins hold for nobody',
  description:
    'Deletes the kept attachments of a network whose namespace is gone, and tells plugins of version 1.1.0 and later which ones are left, so that they take away all others. Prints what was deleted.\n\nA network belongs to one runtime: on one whose attachments are kept elsewhere, say with --cache-dir where, or its workloads lose their network.',
  examples: [
    { command: 'netloom cni gc dbnet', note: 'What is left of namespaces that are gone.' },
    { command: 'netloom cni gc --keep pod-a:eth0 --keep pod-b:eth0 dbnet', note: 'Everything but these.' },
  ],
  flags: {
    keep: list('CONTAINERID:IFNAME', 'Keep this one and those named besides, and no other', parseKept),
    all: flag('Keep none'),
    ...PLACES,
  },
  args: { kind: 'tuple', parameters: [NETWORK] },
  completeFlag: COMPLETE,
  completeArgs: ['cni'],
  load: async () => (await actions()).gc,
});

const status = define<PlaceFlags, string[]>({
  path: 'cni status',
  topic: 'CNI',
  brief: 'Ask CNI plugins whether they can serve',
  description: 'Asks every plugin of the networks named, or of all. Before version 1.1.0 none can answer.',
  examples: [{ command: 'netloom cni status dbnet', note: 'Ends with 1 where it cannot.' }],
  flags: PLACES,
  args: { kind: 'array', parameter: NETWORK },
  completeFlag: COMPLETE,
  completeArgs: ['cni'],
  load: async () => (await actions()).status,
});

const validate = define<PlaceFlags, string[]>({
  path: 'cni validate',
  topic: 'CNI',
  brief: 'Check configurations of CNI networks',
  description:
    'Reads the networks named, or all, and asks each plugin whether it is there and speaks the version. Every fault is told with its file.',
  examples: [{ command: 'netloom cni validate', note: 'Everything in /etc/cni/net.d.' }],
  flags: PLACES,
  args: { kind: 'array', parameter: NETWORK },
  completeFlag: COMPLETE,
  completeArgs: ['cni'],
  load: async () => (await actions()).validate,
});

const ls = define<LsFlags, []>({
  path: 'cni ls',
  otherPaths: ['cni list'],
  topic: 'CNI',
  brief: 'List CNI networks and attachments',
  description:
    'Lists the configured networks in the order in which they are looked for; the first of a name counts. With --attachments, what runtimes have added and not deleted.',
  examples: [
    { command: 'netloom cni ls', note: 'What is configured.' },
    { command: 'netloom cni ls --attachments', note: 'What is attached.' },
  ],
  flags: { attachments: flag('List attachments instead'), ...PLACES },
  args: [],
  completeFlag: COMPLETE,
  load: async () => (await actions()).ls,
});

const BIN = text('DIR', 'Where the runtime looks for plugins (default: /opt/cni/bin)');
const CONF = text(
  'DIR',
  'Where the runtime looks for configurations (environment: NETCONFPATH; default: /etc/cni/net.d)',
);
const FILE = text('FILE', "Name of the configuration's file (default: 10-netloom.conflist)");

const install = define<InstallFlags, []>({
  path: 'cni install',
  topic: 'CNI',
  brief: 'Put the CNI plugins and a configuration in place',
  description:
    'Puts the plugins netloom and netloom-ipam, which hand each call to the daemon or do it themselves where none runs, and then a configuration with every capability that netloom serves, into the directories of the runtime: each whole or not at all. Doing it again changes nothing. A file that is not ours is left as it is, and nothing is installed.',
  examples: [
    { command: 'netloom cni install', note: 'For containerd and the like, with their usual directories.' },
    { command: 'netloom cni install --network pods --subnet 10.88.0.0/16', note: 'With a name and a subnet.' },
    { command: 'netloom cni install --print', note: 'The configuration only, on standard output.' },
  ],
  flags: {
    binDir: BIN,
    confDir: CONF,
    network: text('NAME', 'Name of the network (default: netloom)'),
    subnet: list('SUBNET', 'Its subnet, one a family (default: from the pools)'),
    name: FILE,
    print: flag('Print the configuration, and install nothing'),
    force: flag('Replace files that are not ours'),
  },
  args: [],
  completeFlag: { binDir: 'directory', confDir: 'directory' },
  load: async () => (await installing()).install,
});

const uninstall = define<UninstallFlags, []>({
  path: 'cni uninstall',
  topic: 'CNI',
  brief: 'Take away what netloom cni install put in place',
  description:
    'Takes the configuration away, then the plugins. A configuration that somebody changed, and a plugin that is not ours, stay. Networks and endpoints stay, too: netloom network prune removes what nobody uses.',
  examples: [{ command: 'netloom cni uninstall', note: 'From the usual directories.' }],
  flags: { binDir: BIN, confDir: CONF, name: FILE, force: flag('Take them away whosever they are') },
  args: [],
  completeFlag: { binDir: 'directory', confDir: 'directory' },
  load: async () => (await installing()).uninstall,
});

export const CNI_COMMANDS: readonly CommandDef[] = [add, check, del, gc, status, validate, ls, install, uninstall];
