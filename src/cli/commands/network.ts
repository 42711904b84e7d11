import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { CHANGE_FLAGS, INSPECT_FLAGS, LIST_FLAGS, flag, list, parsed, text } from '../flags.ts';
import type { ChangeFlags, InspectFlags, ListFlags } from '../flags.ts';
import type { ConnectFlags, CreateFlags, RemoveFlags } from '../actions/network.ts';
import { parseWhole } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/network.ts')> => import('../actions/network.ts');

const create = define<CreateFlags, [string]>({
  path: 'network create',
  topic: 'Networks',
  brief: 'Create a network',
  description: `Creates a network and prints its id. Without --subnet it takes the next free one of the configured pools, avoiding every route of the host; --ipv6 adds an IPv6 subnet beside it.

--subnet may be given several times. --gateway, --ip-range and --aux-address go with the subnet that holds them.

Options (-o) of the driver bridge: name (the bridge's interface name), mtu, icc (containers may talk to each other), masquerade, hairpin, host_binding_ipv4; Docker's long names, such as com.docker.network.bridge.name, mean the same.`,
  examples: [
    { command: 'netloom network create web', note: 'The next free subnet.' },
    {
      command: 'netloom network create --driver bridge --subnet 192.168.0.0/16 --gateway 192.168.0.1 mynet',
      note: 'A subnet and gateway of your own.',
    },
    {
      command: 'netloom network create --subnet 10.9.0.0/24 --subnet fd00:9::/64 --aux-address router=10.9.0.2 lab',
      note: 'Both families; 10.9.0.2 belongs to somebody else.',
    },
    { command: 'netloom network create --dry-run --internal db', note: 'Only show the commands it stands for.' },
  ],
  flags: {
    driver: text('DRIVER', 'bridge, host or none (default: bridge)'),
    subnet: list('PREFIX', 'Subnet, such as 172.20.0.0/16 or fd00:20::/64'),
    gateway: list('ADDRESS', "The network's own address (default: the first of the subnet)"),
    ipRange: list('PREFIX', 'Take automatic addresses from this part of the subnet only'),
    auxAddress: list('NAME=ADDRESS', "Somebody else's address: never handed out"),
    internal: flag('No way out: no default route, no masquerade, no published ports'),
    ipv4: flag('Give IPv4 addresses; --ipv4=false for an IPv6-only network (default: true)'),
    ipv6: flag('Give IPv6 addresses too'),
    opt: list('KEY=VALUE', 'Option of the driver'),
    label: list('KEY=VALUE', 'Label'),
    ...CHANGE_FLAGS,
  },
  shorts: { d: 'driver', o: 'opt' },
  args: { kind: 'tuple', parameters: [{ brief: 'Name of the network', parse: String, placeholder: 'NETWORK' }] },
  load: async () => (await actions()).create,
});

const ls = define<ListFlags, []>({
  path: 'network ls',
  otherPaths: ['network list'],
  topic: 'Networks',
  brief: 'List networks',
  description:
    'Lists the networks, by name. bridge, host and none are always there.\n\nFields of --format: .ID .Name .Driver .Scope .Subnets .IPv4 .IPv6 .Internal .Labels .CreatedAt .RunningFor',
  examples: [
    { command: 'netloom network ls', note: 'A table.' },
    { command: "netloom network ls --format '{{.Name}} {{.Subnets}}'", note: 'Two fields a line.' },
    { command: 'netloom --json network ls', note: "The API's own records." },
  ],
  flags: LIST_FLAGS,
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const inspect = define<InspectFlags, string[]>({
  path: 'network inspect',
  topic: 'Networks',
  brief: 'Show everything about networks',
  description: "Prints a JSON array under Docker's field names; with --json, the API's own records.",
  examples: [
    { command: 'netloom network inspect web', note: 'Everything.' },
    { command: "netloom network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' web", note: 'Its subnets.' },
  ],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: {
    kind: 'array',
    minimum: 1,
    parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' },
  },
  completeArgs: ['network'],
  load: async () => (await actions()).inspect,
});

const rm = define<RemoveFlags, string[]>({
  path: 'network rm',
  otherPaths: ['network remove'],
  topic: 'Networks',
  brief: 'Remove networks',
  description:
    'Removes networks that no container and no endpoint uses, and prints what was named. A network in use is an error that names its users.',
  examples: [
    { command: 'netloom network rm web db', note: 'Two networks.' },
    { command: 'netloom network rm --explain web', note: 'Remove it and show how.' },
  ],
  flags: { ...CHANGE_FLAGS, force: flag("Accepted for Docker's sake; a network in use stays an error") },
  shorts: { f: 'force' },
  args: {
    kind: 'array',
    minimum: 1,
    parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' },
  },
  completeArgs: ['network'],
  load: async () => (await actions()).rm,
});

const prune = define<ChangeFlags & { readonly force?: boolean }, []>({
  path: 'network prune',
  topic: 'Networks',
  brief: 'Remove every network that nothing uses',
  description:
    'Removes every network that no container and no endpoint uses, and prints their names. It asks nothing: --dry-run shows what it would do.',
  examples: [{ command: 'netloom network prune --dry-run', note: 'Look first.' }],
  flags: { ...CHANGE_FLAGS, force: flag("Accepted for Docker's sake; netloom does not ask") },
  shorts: { f: 'force' },
  args: [],
  load: async () => (await actions()).prune,
});

const connect = define<ConnectFlags, [string, string]>({
  path: 'network connect',
  topic: 'Networks',
  brief: 'Connect a container to a network',
  description: 'Gives a container one more interface. A container that does not run gets it at its next start.',
  examples: [
    { command: 'netloom network connect db blog', note: 'blog joins the network db.' },
    {
      command: 'netloom network connect --ip 172.20.0.9 --alias mail db blog',
      note: 'With an address and a name of its own.',
    },
  ],
  flags: {
    ip: text('ADDRESS', 'IPv4 address (default: the next free one)'),
    ip6: text('ADDRESS', 'IPv6 address (default: the next free one)'),
    alias: list('NAME', 'Another name for it on this network'),
    macAddress: text('MAC', 'Hardware address (default: made from the address)'),
    gwPriority: parsed('NUMBER', parseWhole, 'The network with the highest number has the default route (default: 0)'),
    ifname: text('NAME', 'Name of the interface inside (default: the first free ethN)'),
    ...CHANGE_FLAGS,
  },
  args: {
    kind: 'tuple',
    parameters: [
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' },
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'CONTAINER' },
    ],
  },
  completeArgs: ['network', 'container'],
  load: async () => (await actions()).connect,
});

const disconnect = define<ChangeFlags & { readonly force?: boolean }, [string, string]>({
  path: 'network disconnect',
  topic: 'Networks',
  brief: 'Disconnect a container from a network',
  description: "Takes the container's interface on that network away, with its ports.",
  examples: [{ command: 'netloom network disconnect db blog', note: 'blog leaves the network db.' }],
  flags: { ...CHANGE_FLAGS, force: flag("Accepted for Docker's sake") },
  shorts: { f: 'force' },
  args: {
    kind: 'tuple',
    parameters: [
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' },
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'CONTAINER' },
    ],
  },
  completeArgs: ['network', 'container'],
  load: async () => (await actions()).disconnect,
});

export const NETWORK_COMMANDS: readonly CommandDef[] = [create, ls, inspect, rm, prune, connect, disconnect];
