import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { rateFlags } from '../endpoint-flags.ts';
import { CHANGE_FLAGS, INSPECT_FLAGS, LIST_FLAGS, flag, list, parsed, text } from '../flags.ts';
import type { ChangeFlags, GlobalFlags, InspectFlags } from '../flags.ts';
import type { KillFlags, LogsFlags, PsFlags, RmFlags, StopFlags } from '../actions/container.ts';
import type { PortFlags, UpdateFlags } from '../actions/publish.ts';
import type { ExecFlags, RunFlags } from '../actions/run.ts';
import { host, network, publish } from '../parse/lazy.ts';
import { parseSeconds, parseSignal, parseTail } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/container.ts')> => import('../actions/container.ts');
const ports = (): Promise<typeof import('../actions/publish.ts')> => import('../actions/publish.ts');
const running = (): Promise<typeof import('../actions/run.ts')> => import('../actions/run.ts');
const CONTAINERS = {
  kind: 'array',
  minimum: 1,
  parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'CONTAINER' },
} as const;
const ONE = { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'CONTAINER' } as const;

const run = define<RunFlags, string[]>({
  path: 'run',
  otherPaths: ['container run'],
  topic: 'Containers',
  wrapsCommand: true,
  brief: 'Run a command in a network namespace of its own',
  description: `Makes a namespace, connects it to its networks, publishes its ports and runs the command in it. The command sees the machine's own files: there is no image. Flags end at the first word that is none; everything from there on belongs to the command.

Without --network it joins the network bridge. Several --network give several interfaces, eth0, eth1 … in that order; --ip, --ip6, --mac-address, --network-alias and the rates speak of the first. The long form says everything of one network: name=web,ip=172.20.0.9,alias=www,gw-priority=1,egress-rate=10mbit. The words host, none and container:NAME are modes that stand alone.

-p is [[ADDRESS:]HOSTPORT:]PORT[/tcp|udp|sctp]; both ports may be ranges of one length; a missing host port is chosen; IPv6 addresses stand in brackets. A missing address means every address of the host, IPv4 and IPv6. The long form is published=HOSTPORT,target=PORT,protocol=udp,host_ip=ADDRESS,firewall=open,mode=ingress: a port that the host's own firewall refuses is closed to the outside, unless firewall=open says otherwise (docs/firewalls.md); with mode=ingress, on a network that hosts share, every node leads it to the container (docs/nodes.md).

RATE is bits a second in the words of tc(8): 10mbit, 1gbit, 500kbit; 10mbps is bytes; none is no limit.

In the foreground, run ends with the command's status, and hands it the signals that it gets. Standard input is passed only with -i or -t. With -d it prints the id, and the command's output goes to the log (netloom logs). The container shows in ip netns, and ip netns exec works on it.`,
  examples: [
    {
      command: 'netloom run -itd --name busybox-01 --network mynet sleep 1000',
      note: 'In the background, on the network mynet.',
    },
    {
      command: 'netloom run -d --name web -p 8888:80 python3 -m http.server 80',
      note: 'A web server, reached on port 8888 of the host.',
    },
    {
      command: 'netloom run --rm -it --network web --network name=db,ip=172.20.0.9 bash',
      note: 'A shell with two interfaces, gone when it ends.',
    },
    { command: 'netloom run -d --pod shop --name api sleep 1000', note: 'In a pod: netloom pod create shop.' },
    {
      command: 'netloom run --dry-run -p 127.0.0.1:5353:53/udp sleep 1',
      note: 'Only show the commands it stands for.',
    },
  ],
  flags: {
    name: text('NAME', 'Name (default: two words)'),
    network: list('NETWORK', 'Network to join, or host, none, container:NAME', network),
    pod: text('POD', 'Run in the namespace of a pod: its networks and ports'),
    networkAlias: list('NAME', 'Another name for it on the first network'),
    ip: text('ADDRESS', 'IPv4 address on the first network (default: the next free one)'),
    ip6: text('ADDRESS', 'IPv6 address on the first network (default: the next free one)'),
    macAddress: text('MAC', 'Hardware address on the first network'),
    ...rateFlags('none'),
    publish: list('PORT', 'Publish a port', publish),
    expose: list('PORT', "Accepted for Docker's sake; containers of one network reach every port"),
    detach: flag('Run in the background and print the id'),
    rm: flag('Remove the container when the command ends'),
    interactive: flag('Pass standard input'),
    tty: flag("Pass the terminal; it is the caller's own"),
    dns: list('ADDRESS', "Name server (default: the host's)"),
    dnsSearch: list('DOMAIN', 'Search domain'),
    dnsOption: list('OPTION', 'Option of the resolver: resolv.conf(5)'),
    hostname: text('NAME', 'Host name (default: the beginning of the id)'),
    addHost: list('NAME:ADDRESS', 'Line of /etc/hosts', host),
    env: list('NAME[=VALUE]', "Environment variable; a name alone passes the caller's"),
    envFile: list('FILE', 'File with a NAME=VALUE a line'),
    workdir: text('DIR', 'Directory that the command starts in'),
    label: list('KEY=VALUE', 'Label'),
    ...CHANGE_FLAGS,
  },
  shorts: { p: 'publish', d: 'detach', i: 'interactive', t: 'tty', h: 'hostname', e: 'env', w: 'workdir', l: 'label' },
  longs: { net: 'network', 'net-alias': 'networkAlias', 'dns-opt': 'dnsOption' },
  args: {
    kind: 'array',
    minimum: 1,
    parameter: { brief: 'Command and its arguments', parse: String, placeholder: 'COMMAND' },
  },
  completeFlag: { network: 'network', pod: 'pod', envFile: 'file', workdir: 'directory' },
  completeArgs: ['command'],
  load: async () => (await running()).run,
});

const exec = define<ExecFlags, [string, ...string[]]>({
  path: 'exec',
  otherPaths: ['container exec'],
  topic: 'Containers',
  wrapsCommand: true,
  brief: 'Run another command in a running container',
  description:
    'Runs a command in the namespace of a running container, with its /etc/hosts and /etc/resolv.conf, and ends with its status. Flags end at the name of the container.',
  examples: [
    { command: 'netloom exec -it web bash', note: 'A shell beside the web server.' },
    { command: 'netloom exec web ip addr', note: 'What it sees of the network.' },
  ],
  flags: {
    detach: flag('Leave it running in the background'),
    interactive: flag('Pass standard input'),
    tty: flag("Pass the terminal; it is the caller's own"),
    env: list('NAME[=VALUE]', 'Environment variable'),
    envFile: list('FILE', 'File with a NAME=VALUE a line'),
    workdir: text('DIR', 'Directory that the command starts in'),
  },
  shorts: { d: 'detach', i: 'interactive', t: 'tty', e: 'env', w: 'workdir' },
  args: execArguments(),
  completeFlag: { envFile: 'file', workdir: 'directory' },
  completeArgs: ['running', 'command'],
  load: async () => (await running()).exec,
});

/** stricli has tuples and lists, and `CONTAINER COMMAND ARG…` is both: a list of at least two. */
function execArguments(): never {
  return {
    kind: 'array',
    minimum: 2,
    parameter: {
      brief: 'Container, then the command and its arguments',
      parse: String,
      placeholder: 'CONTAINER COMMAND',
    },
  } as never;
}

const start = define<ChangeFlags, string[]>({
  path: 'start',
  otherPaths: ['container start'],
  topic: 'Containers',
  brief: 'Start containers again',
  description:
    'Starts the command of containers that ended, in the background, with the same addresses where they are still free.',
  examples: [
    { command: 'netloom start web', note: 'The same command, once more.' },
    { command: 'netloom start --dry-run web', note: 'Only show the commands it stands for.' },
  ],
  flags: CHANGE_FLAGS,
  args: CONTAINERS,
  completeArgs: ['container'],
  load: async () => (await actions()).start,
});

const stop = define<StopFlags, string[]>({
  path: 'stop',
  otherPaths: ['container stop'],
  topic: 'Containers',
  brief: 'Stop running containers',
  description:
    'Sends SIGTERM, waits, then sends SIGKILL. Answers when the command has ended and its interfaces are gone.',
  examples: [{ command: 'netloom stop -t 2 web db', note: 'Both at once, with two seconds to end.' }],
  flags: { time: parsed('SECONDS', parseSeconds, 'Wait this long before SIGKILL (default: 10)'), ...CHANGE_FLAGS },
  shorts: { t: 'time' },
  longs: { timeout: 'time' },
  args: CONTAINERS,
  completeArgs: ['running'],
  load: async () => (await actions()).stop,
});

const kill = define<KillFlags, string[]>({
  path: 'kill',
  otherPaths: ['container kill'],
  topic: 'Containers',
  brief: 'Send a signal to running containers',
  description: 'Sends a signal to the command, and does not wait.',
  examples: [{ command: 'netloom kill -s HUP web', note: 'Have it read its configuration again.' }],
  flags: { signal: parsed('SIGNAL', parseSignal, 'Name or number (default: SIGKILL)'), ...CHANGE_FLAGS },
  shorts: { s: 'signal' },
  args: CONTAINERS,
  completeArgs: ['running'],
  load: async () => (await actions()).kill,
});

const wait = define<GlobalFlags, string[]>({
  path: 'wait',
  otherPaths: ['container wait'],
  topic: 'Containers',
  brief: 'Wait until containers end',
  description: 'Waits until the commands have ended and prints the status of each, a line each.',
  examples: [{ command: 'netloom wait job', note: 'Prints 0 when it went well.' }],
  flags: {},
  args: CONTAINERS,
  completeArgs: ['container'],
  load: async () => (await actions()).wait,
});

const ps = define<PsFlags, []>({
  path: 'ps',
  otherPaths: ['container ls', 'container list', 'container ps'],
  topic: 'Containers',
  brief: 'List containers',
  description:
    'Lists the running containers, the newest first; with -a those that ended too.\n\nFields of --format: .ID .Names .Command .CreatedAt .RunningFor .Status .State .Ports .Networks .Labels',
  examples: [
    { command: 'netloom ps -a', note: 'All of them.' },
    { command: "netloom ps --format 'table {{.Names}}\\t{{.Ports}}'", note: 'A table of two columns.' },
    { command: 'netloom ps -aq', note: 'The ids of all, for netloom rm -f.' },
  ],
  flags: { all: flag('Those that ended too'), ...LIST_FLAGS },
  shorts: { a: 'all', q: 'quiet' },
  args: [],
  load: async () => (await actions()).ps,
});

const port = define<GlobalFlags, [string, string | undefined]>({
  path: 'port',
  otherPaths: ['container port'],
  topic: 'Containers',
  brief: 'Show the published ports of a container',
  description:
    'Prints where each published port is reached on the host; with a port, only that one. (denied): the firewall of the host keeps it closed to the outside.',
  examples: [
    { command: 'netloom port web', note: '80/tcp -> 0.0.0.0:8888' },
    { command: 'netloom port web 80', note: '0.0.0.0:8888' },
  ],
  flags: {},
  args: {
    kind: 'tuple',
    parameters: [
      ONE,
      { brief: 'Port of the container', parse: String, placeholder: 'PORT[/PROTOCOL]', optional: true },
    ],
  },
  completeArgs: ['running'],
  load: async () => (await actions()).port,
});

const NETWORK = text('NETWORK', 'Which of its networks (default: the one that fits)');

const publishPorts = define<PortFlags, [string, ...string[]]>({
  path: 'publish',
  otherPaths: ['container publish'],
  topic: 'Containers',
  brief: 'Publish ports of a container while it runs',
  description: `Publishes more ports and prints where each is reached. They stay published over restarts.

A port is written as for netloom run -p: [[ADDRESS:]HOSTPORT:]PORT[/tcp|udp|sctp], ranges on both sides; or in the long form: published=HOSTPORT,target=PORT,firewall=open,mode=ingress. If one of them is taken, none is published.`,
  examples: [
    { command: 'netloom publish web 8443:443', note: '443/tcp -> 0.0.0.0:8443' },
    { command: 'netloom publish web 127.0.0.1::80 5000-5009:5000-5009/udp', note: 'A free port, and a range.' },
  ],
  flags: { network: NETWORK, ...CHANGE_FLAGS },
  args: containerAndPorts('PORT'),
  completeArgs: ['container', 'none'],
  completeFlag: { network: 'network' },
  load: async () => (await ports()).publish,
});

const unpublishPorts = define<PortFlags, [string, ...string[]]>({
  path: 'unpublish',
  otherPaths: ['container unpublish'],
  topic: 'Containers',
  brief: 'Take published ports of a container back',
  description: `Takes published ports back, and cuts what is connected through them. Other ports stay.

A port is that of the host: [ADDRESS:]HOSTPORT[-HOSTPORT][/tcp|udp|sctp], as netloom port shows it. Without an address, on every one.`,
  examples: [
    { command: 'netloom unpublish web 8443', note: 'On every address.' },
    { command: 'netloom unpublish web 127.0.0.1:8080 5000-5009/udp', note: 'On one address, and a range.' },
  ],
  flags: { network: NETWORK, ...CHANGE_FLAGS },
  args: containerAndPorts('HOSTPORT'),
  completeArgs: ['container', 'published'],
  completeFlag: { network: 'network' },
  load: async () => (await ports()).unpublish,
});

/** As for exec: a list of at least two, since stricli has no tuple with a tail. */
function containerAndPorts(placeholder: string): never {
  return {
    kind: 'array',
    minimum: 2,
    parameter: { brief: 'Container, then its ports', parse: String, placeholder: `CONTAINER ${placeholder}` },
  } as never;
}

const update = define<UpdateFlags, string[]>({
  path: 'update',
  otherPaths: ['container update'],
  topic: 'Containers',
  brief: 'Limit the traffic of containers while they run',
  description: `Sets how much a container may receive and send, from now on and over restarts, and prints what was named. With several networks, --network says which one.

RATE is bits a second in the words of tc(8): 10mbit, 1gbit, 500kbit, a bare number of bits; 10mbps is bytes a second; 0 or none takes the limit away.`,
  examples: [
    { command: 'netloom update --egress-rate 10mbit web', note: 'It sends at most 10 Mbit/s.' },
    { command: 'netloom update --network db --ingress-rate none web', note: 'No limit on the network db any more.' },
  ],
  flags: { network: NETWORK, ...rateFlags('as it is'), ...CHANGE_FLAGS },
  args: CONTAINERS,
  completeArgs: ['container'],
  completeFlag: { network: 'network' },
  load: async () => (await ports()).update,
});

const rm = define<RmFlags, string[]>({
  path: 'rm',
  otherPaths: ['container rm', 'container remove'],
  topic: 'Containers',
  brief: 'Remove containers',
  description:
    'Removes containers with their namespaces, interfaces, ports and logs, and prints what was named. A running one is an error unless -f.',
  examples: [
    { command: 'netloom rm -f web', note: 'Kill it first.' },
    { command: 'netloom rm --dry-run web', note: 'Only show the commands it stands for.' },
  ],
  flags: {
    force: flag('Kill running ones first'),
    volumes: flag("Accepted for Docker's sake; there are no volumes"),
    ...CHANGE_FLAGS,
  },
  shorts: { f: 'force', v: 'volumes' },
  args: CONTAINERS,
  completeArgs: ['container'],
  load: async () => (await actions()).rm,
});

const logs = define<LogsFlags, [string]>({
  path: 'logs',
  otherPaths: ['container logs'],
  topic: 'Containers',
  brief: 'Show the output of a container',
  description: 'Prints what a command in the background has written, standard output and error together.',
  examples: [{ command: 'netloom logs -f -n 20 web', note: 'The last 20 lines, and what follows.' }],
  flags: {
    follow: flag('Go on until the container ends'),
    tail: parsed('LINES', parseTail, 'Only the last lines, or all (default: all)'),
  },
  shorts: { f: 'follow', n: 'tail' },
  args: { kind: 'tuple', parameters: [ONE] },
  completeArgs: ['container'],
  load: async () => (await actions()).logs,
});

const inspect = define<InspectFlags, string[]>({
  path: 'inspect',
  otherPaths: ['container inspect'],
  topic: 'Containers',
  brief: 'Show everything about containers',
  description: "Prints a JSON array under Docker's field names; with --json, the API's own records.",
  examples: [
    { command: "netloom inspect -f '{{.State.Status}}' web", note: 'running' },
    {
      command: "netloom inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' web",
      note: 'Its addresses.',
    },
  ],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: CONTAINERS,
  completeArgs: ['container'],
  load: async () => (await actions()).inspect,
});

const exited = define<GlobalFlags, [string]>({
  path: '_exited',
  topic: 'Containers',
  hidden: true,
  brief: 'Take down what an ended command leaves',
  description: 'The process that watches over a command runs it when the command has ended.',
  examples: [{ command: 'netloom _exited 3f1c…', note: 'Not for people.' }],
  flags: {},
  args: { kind: 'tuple', parameters: [ONE] },
  load: async () => (await actions()).exited,
});

export const CONTAINER_COMMANDS: readonly CommandDef[] = [
  run,
  exec,
  start,
  stop,
  kill,
  wait,
  ps,
  port,
  publishPorts,
  unpublishPorts,
  update,
  rm,
  logs,
  inspect,
  exited,
];
