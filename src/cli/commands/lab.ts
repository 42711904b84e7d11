import type { CutFlags, HealFlags, LogsFlags, UpFlags } from '../actions/lab.ts';
import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { flag, parsed, text } from '../flags.ts';
import type { GlobalFlags } from '../flags.ts';
import type { LabFlags } from '../parse/lab.ts';
import { parseTail } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/lab.ts')> => import('../actions/lab.ts');
const words = (): Promise<typeof import('../parse/lab.ts')> => import('../parse/lab.ts');

const WHICH = {
  name: text(
    'NAME',
    'Name of the lab (default: that of the lab.yaml here, else the only one that runs; environment: NETLOOM_LAB)',
  ),
  dir: text('DIR', 'Folder of the lab (default: /run/netloom-lab/NAME)'),
};

const up = define<UpFlags, []>({
  path: 'lab up',
  topic: 'Lab',
  brief: 'Make hosts on this machine, or mend them',
  description: `Makes hosts, each a network namespace with its own files in /etc, /var/lib and /run and its own netloom daemon; segments between them, each a bridge; and an etcd of whose cluster they are nodes. Everything is in namespaces of the lab's own: the machine's own network gets nothing.

A file, lab.yaml, says what there is; without one there is one segment with --hosts hosts and an etcd. What is there and right is left alone, what the file has no longer is removed, what has died is started again: the same command makes a lab, changes it and repairs it. It returns when every daemon and etcd answer.

It takes root, or root of a user namespace. docs/lab.md describes the file.`,
  examples: [
    { command: 'netloom lab up --hosts 2', note: 'Without a file: host1, host2, and an etcd.' },
    { command: 'netloom lab up -f examples/lab/lab.yaml', note: 'What the file describes.' },
    { command: 'netloom lab up', note: 'The lab.yaml of this directory; else the lab that was made before.' },
  ],
  flags: {
    file: text('FILE', 'What is to be made (default: lab.yaml, where it is there)'),
    hosts: parsed(
      'COUNT',
      async (value) => (await words()).parseHosts(value),
      'So many hosts, without a file (default: 3)',
    ),
    etcd: parsed(
      'COUNT',
      async (value) => (await words()).parseMembers(value),
      'So many members of etcd, without a file, 0 for none (default: 1)',
    ),
    ...WHICH,
  },
  shorts: { f: 'file', n: 'name' },
  args: [],
  completeFlag: { file: 'file', dir: 'directory' },
  load: async () => (await actions()).up,
});

const down = define<LabFlags, []>({
  path: 'lab down',
  topic: 'Lab',
  brief: 'Remove a lab with everything in it',
  description:
    'Ends every process of the lab, daemons, containers and whatever was started by lab exec, and removes its namespaces and files; also what an interrupted lab up has left, and what has died meanwhile.',
  examples: [
    { command: 'netloom lab down', note: 'The lab of this directory, or the only one.' },
    { command: 'netloom lab down -n demo', note: 'By its name.' },
  ],
  flags: WHICH,
  shorts: { n: 'name' },
  args: [],
  completeFlag: { dir: 'directory' },
  load: async () => (await actions()).down,
});

const ls = define<GlobalFlags, []>({
  path: 'lab ls',
  otherPaths: ['lab list'],
  topic: 'Lab',
  brief: 'List labs',
  description:
    'Lists the labs in /run/netloom-lab: how many of their machines are up, and how many connections are cut.',
  examples: [{ command: 'netloom lab ls --json', note: 'With everything that lab status shows.' }],
  flags: {},
  args: [],
  load: async () => (await actions()).ls,
});

const status = define<LabFlags, []>({
  path: 'lab status',
  topic: 'Lab',
  brief: 'Show the machines of a lab',
  description: `Lists hosts, members of etcd and the router, with their addresses, what their cables do, and who they are cut off from. A machine is up, dead (its daemon or etcd has ended, or does not answer) or down (its namespaces are gone): netloom lab up mends both.`,
  examples: [{ command: 'netloom lab status', note: 'The lab of this directory, or the only one.' }],
  flags: WHICH,
  shorts: { n: 'name' },
  args: [],
  completeFlag: { dir: 'directory' },
  load: async () => (await actions()).status,
});

const exec = define<LabFlags, string[]>({
  path: 'lab exec',
  topic: 'Lab',
  brief: 'Run a command on a host of a lab',
  description:
    "Runs a command in the namespaces of a machine, with its files, on this terminal; netloom there speaks to that host's daemon, and etcdctl to the lab's etcd. The exit status is the command's own.\n\nThe machine has this machine's files, programs, users and processes. Its own are its network, /etc, /var/lib, /run and its host name. Hosts know each other by name.",
  examples: [
    { command: 'netloom lab exec host1 -- ping -c 3 host2', note: 'From one host to another.' },
    { command: 'netloom lab exec host1 -- netloom run -it --name w1 sh', note: 'A container there.' },
    { command: 'netloom lab exec -n demo etcd1 -- etcdctl get --prefix /', note: 'At a member of etcd.' },
  ],
  wrapsCommand: true,
  flags: WHICH,
  shorts: { n: 'name' },
  args: {
    kind: 'array',
    minimum: 2,
    parameter: { brief: 'The machine, and the command with its arguments', parse: String, placeholder: 'HOST COMMAND' },
  },
  completeFlag: { dir: 'directory' },
  completeArgs: ['machine', 'command'],
  load: async () => (await actions()).exec,
});

const cut = define<CutFlags, string[]>({
  path: 'lab cut',
  topic: 'Lab',
  brief: 'Cut the connection between hosts of a lab',
  description: `Drops every frame between two machines, in both directions; of one machine alone, everything that it sends and gets. Names of etcd's members and the router are those of machines, too: cutting a host from everybody cuts it from etcd.

With --one-way only what HOST sends to OTHER is lost. With --partition the words are groups of names with commas between: what goes from one group to another is lost; who is in no group is reached by all.

Between machines on different segments, where a router is on the way, packets are told by the addresses of the two: what they forward for others without a tunnel goes on.

Cuts add up until netloom lab heal undoes them.`,
  examples: [
    { command: 'netloom lab cut host1 host2', note: 'The two no longer hear each other.' },
    { command: 'netloom lab cut host1', note: 'Nobody hears host1, and it hears nobody.' },
    { command: 'netloom lab cut host1 --one-way host2', note: 'host2 is still heard by host1.' },
    { command: 'netloom lab cut --partition host1,etcd1 host2,host3', note: 'Two halves.' },
  ],
  flags: {
    oneWay: flag('Only what the first machine sends to the other'),
    partition: flag('Between groups: names with commas between'),
    ...WHICH,
  },
  shorts: { n: 'name' },
  args: {
    kind: 'array',
    minimum: 1,
    parameter: {
      brief: 'One machine, or two; with --partition two groups or more',
      parse: String,
      placeholder: 'HOST',
    },
  },
  completeFlag: { dir: 'directory' },
  completeArgs: ['machine', 'machine'],
  load: async () => (await actions()).cut,
});

const heal = define<HealFlags, string[]>({
  path: 'lab heal',
  topic: 'Lab',
  brief: 'Undo cuts',
  description:
    'Undoes what netloom lab cut did: everything, everything of one machine, or what is between two; with --one-way only what the first sends to the other. What is not cut is left as it is.',
  examples: [
    { command: 'netloom lab heal', note: 'Everything.' },
    { command: 'netloom lab heal host1 host2', note: 'Only between these two.' },
  ],
  flags: { oneWay: flag('Only what the first machine sends to the other'), ...WHICH },
  shorts: { n: 'name' },
  args: {
    kind: 'array',
    parameter: { brief: 'One machine, or two (default: everything)', parse: String, placeholder: 'HOST' },
  },
  completeFlag: { dir: 'directory' },
  completeArgs: ['machine', 'machine'],
  load: async () => (await actions()).heal,
});

const logs = define<LogsFlags, [string]>({
  path: 'lab logs',
  topic: 'Lab',
  brief: "Show what a host's daemon, or etcd, has said",
  description: "Prints the log of a machine's service since the lab was made, over all its starts.",
  examples: [{ command: 'netloom lab logs --tail 20 host1', note: 'The last lines of its daemon.' }],
  flags: { tail: parsed('COUNT', parseTail, 'Only so many lines from the end (default: all)'), ...WHICH },
  shorts: { n: 'name' },
  args: { kind: 'tuple', parameters: [{ brief: 'The machine', parse: String, placeholder: 'HOST' }] },
  completeFlag: { dir: 'directory' },
  completeArgs: ['machine'],
  load: async () => (await actions()).logs,
});

export const LAB_COMMANDS: readonly CommandDef[] = [up, down, ls, status, exec, cut, heal, logs];
