import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { rateFlags } from '../endpoint-flags.ts';
import { CHANGE_FLAGS, flag, INSPECT_FLAGS, list, LIST_FLAGS, text } from '../flags.ts';
import type { ChangeFlags, InspectFlags, ListFlags } from '../flags.ts';
import type { RmFlags } from '../actions/container.ts';
import type { PodFlags } from '../actions/pod.ts';
import { host, network, publish } from '../parse/lazy.ts';

const actions = (): Promise<typeof import('../actions/pod.ts')> => import('../actions/pod.ts');
const containers = (): Promise<typeof import('../actions/container.ts')> => import('../actions/container.ts');
const PODS = {
  kind: 'array',
  minimum: 1,
  parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'POD' },
} as const;

const create = define<PodFlags, [string | undefined]>({
  path: 'pod create',
  topic: 'Pods',
  brief: 'Make a namespace that several containers share',
  description: `Makes a namespace with its networks, addresses and published ports, and prints the id of the pod. No process holds it: it is there until it is stopped or removed, whichever of its containers come and go.

netloom run --pod POD COMMAND runs a container in it. All of them have the same addresses and reach each other on localhost; the name of each leads to the pod, for whoever is on one of its networks.

--network host makes a pod whose containers are on the network of the host. The flags are those of netloom run.`,
  examples: [
    { command: 'netloom pod create --network web -p 8080:80 shop', note: 'Its ports are published once, for all.' },
    { command: 'netloom pod create --network host tools', note: 'On the network of the host.' },
  ],
  flags: {
    network: list('NETWORK', 'Network to join, or host, none', network),
    networkAlias: list('NAME', 'Another name for it on the first network'),
    ip: text('ADDRESS', 'IPv4 address on the first network (default: the next free one)'),
    ip6: text('ADDRESS', 'IPv6 address on the first network (default: the next free one)'),
    macAddress: text('MAC', 'Hardware address on the first network'),
    ...rateFlags('none'),
    publish: list('PORT', 'Publish a port, as in netloom run', publish),
    dns: list('ADDRESS', "Name server (default: the host's)"),
    dnsSearch: list('DOMAIN', 'Search domain'),
    dnsOption: list('OPTION', 'Option of the resolver: resolv.conf(5)'),
    hostname: text('NAME', 'Host name (default: the beginning of the id)'),
    addHost: list('NAME:ADDRESS', 'Line of /etc/hosts', host),
    label: list('KEY=VALUE', 'Label'),
    ...CHANGE_FLAGS,
  },
  shorts: { p: 'publish', h: 'hostname', l: 'label' },
  longs: { net: 'network', 'dns-opt': 'dnsOption' },
  args: {
    kind: 'tuple',
    parameters: [{ brief: 'Its name (default: two words)', parse: String, placeholder: 'POD', optional: true }],
  },
  completeFlag: { network: 'network' },
  load: async () => (await actions()).create,
});

const ls = define<ListFlags, []>({
  path: 'pod ls',
  otherPaths: ['pod list', 'pod ps'],
  topic: 'Pods',
  brief: 'List pods',
  description:
    'Lists the pods, the newest first, with how many of their containers run.\n\nFields of --format: .ID .Name .Status .Containers .Running .CreatedAt .RunningFor .Ports .Networks .Labels',
  examples: [
    { command: "netloom pod ls --format '{{.Name}} {{.Containers}}'", note: 'The names of their containers.' },
  ],
  flags: LIST_FLAGS,
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const inspect = define<InspectFlags, string[]>({
  path: 'pod inspect',
  topic: 'Pods',
  brief: 'Show everything about pods',
  description: "Prints a JSON array as netloom inspect does; with --json, the API's own records.",
  examples: [{ command: "netloom pod inspect -f '{{.NetworkSettings.SandboxKey}}' shop", note: 'Its namespace.' }],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: PODS,
  completeArgs: ['pod'],
  load: async () => (await containers()).inspect,
});

const start = define<ChangeFlags, string[]>({
  path: 'pod start',
  topic: 'Pods',
  brief: 'Make the namespaces of stopped pods again',
  description: 'Makes namespace, interfaces and ports again. Its containers are started by themselves: netloom start.',
  examples: [{ command: 'netloom pod start shop', note: 'With the same addresses where they are still free.' }],
  flags: CHANGE_FLAGS,
  args: PODS,
  completeArgs: ['pod'],
  load: async () => (await containers()).start,
});

const stop = define<ChangeFlags, string[]>({
  path: 'pod stop',
  topic: 'Pods',
  brief: 'Stop the containers of pods, and take their namespaces away',
  description:
    'Stops its containers as netloom stop does, then takes interfaces, ports and namespace away. The pod stays.',
  examples: [{ command: 'netloom pod stop shop', note: 'netloom pod start shop makes it again.' }],
  flags: CHANGE_FLAGS,
  args: PODS,
  completeArgs: ['pod'],
  load: async () => (await containers()).stop,
});

const rm = define<RmFlags, string[]>({
  path: 'pod rm',
  otherPaths: ['pod remove'],
  topic: 'Pods',
  brief: 'Remove pods',
  description: 'Removes a pod that no container is in; with -f its containers too.',
  examples: [{ command: 'netloom pod rm -f shop', note: 'With all of its containers.' }],
  flags: { force: flag('Remove its containers first'), ...CHANGE_FLAGS },
  shorts: { f: 'force' },
  args: PODS,
  completeArgs: ['pod'],
  load: async () => (await containers()).rm,
});

export const POD_COMMANDS: readonly CommandDef[] = [create, ls, inspect, start, stop, rm];
