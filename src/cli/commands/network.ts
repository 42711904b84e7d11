import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { ENDPOINT_FLAGS } from '../endpoint-flags.ts';
import { CHANGE_FLAGS, INSPECT_FLAGS, LIST_FLAGS, flag, list, text } from '../flags.ts';
import type { ChangeFlags, InspectFlags, ListFlags } from '../flags.ts';
import type { ConnectFlags, CreateFlags, RemoveFlags, UpdateFlags } from '../actions/network.ts';

const actions = (): Promise<typeof import('../actions/network.ts')> => import('../actions/network.ts');

const create = define<CreateFlags, [string]>({
  path: 'network create',
  topic: 'Networks',
  brief: 'Create a network',
  description: `Creates a network and prints its id. Without --subnet it takes the next free one of the configured pools, avoiding every route of the host; --ipv6 adds an IPv6 subnet beside it.

--subnet may be given several times. --gateway, --ip-range and --aux-address go with the subnet that holds them.

Options (-o) of the driver bridge: name (the bridge's interface name), mtu, icc (containers may talk to each other), masquerade, hairpin, guard (containers can only send as themselves), fair_ports (who holds thousands of connections leaves ports to others), gateway_mode (nat, nat-unprotected, routed or isolated; gateway_mode_ipv4 and gateway_mode_ipv6 for one family). Docker's long names, such as com.docker.network.bridge.name and com.docker.network.bridge.host_binding_ipv4, are taken too.

The driver overlay joins hosts: the network is made once, on any node of a cluster (netloom node join), and all of them have it. Options beside those of bridge: backend (how packets go from host to host: vxlan, host-gw, udp, ipip, gre, wireguard, ipsec or bgp; default vxlan), plan (flat: any address may be on any host, with backend vxlan alone; node: each host has a prefix of its own and gives addresses out of it; default flat with vxlan, node with the others), node_prefix and node_prefix6 (length of a host's prefix in the plan node; default 24 and 64), vni (tells networks apart on the wire; default: one that no other has), port (of UDP; default: the backend's own), direct_routing (hosts on one segment reach each other without a tunnel), shortcut (TCP connections between hosts go past rule sets that have let them begin; default true), tracked (connection tracking notes the tunnel's own packets as well; default false), rekey (how often each host changes its keys, with wireguard and ipsec: 24h, 7d, off; default 24h with ipsec, off with wireguard), and of backend bgp, the same for all networks that have it: asn (of all nodes; default 64512), neighbors (routers that nodes speak with, ADDRESS:AS with commas between; default: with each other), password_file (on each node, signs the sessions), hold_time (seconds, default 90), restart_time (seconds for which neighbors keep routes while a node's daemon is away, default 120). With flannel=URL,… it is a network of flannel's instead: this host takes a lease as flannel does, by flannel's keys in that etcd, and flannel's configuration says all of the above; needed may be prefix (default /coreos.com/network), ca, cert, key, user and password_file (files with their whole paths), and address (where flannel's hosts reach this one). In the plan node, --subnet is the range of all hosts together, and --gateway, --ip-range and --aux-address are left out.

The driver macvlan gives each container a hardware address of its own on the segment of an interface of the host, beside the host's. Options: parent (that interface; eth0.50 is a VLAN of it, made and removed by netloom; without it, a segment that leads nowhere), vlan, mode (bridge, private, vepa, passthru or source), sources (addresses that mode source lets in), shim (an address for the host on the segment: without one, host and containers do not reach each other), mtu.

The driver ipvlan shares the hardware address of the interface. Options: parent and vlan as above, mode (l2, l3 or l3s), flag (bridge, private or vepa), mtu.

With macvlan and ipvlan, --subnet and --gateway are those of the segment; --ipam-driver dhcp asks its DHCP server instead.`,
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
    {
      command: 'netloom network create -d macvlan -o parent=eth0 --subnet 192.168.1.0/24 --gateway 192.168.1.1 lan',
      note: 'Containers that are neighbours of the host.',
    },
    {
      command: 'netloom network create -d overlay shared',
      note: 'For all nodes of the cluster; any address on any of them.',
    },
    {
      command: 'netloom network create -d overlay -o backend=wireguard --subnet 10.244.0.0/16 pods',
      note: 'Encrypted between the nodes, each of which has a /24.',
    },
    { command: 'netloom network create --dry-run --internal db', note: 'Only show the commands it stands for.' },
  ],
  flags: {
    driver: text('DRIVER', 'bridge, overlay, macvlan or ipvlan (default: bridge)'),
    subnet: list('PREFIX', 'Subnet, such as 172.20.0.0/16 or fd00:20::/64'),
    gateway: list('ADDRESS', "The network's own address (default: the first of the subnet)"),
    ipRange: list('PREFIX', 'Take automatic addresses from this part of the subnet only'),
    ipamDriver: text('DRIVER', 'Where addresses come from: pool or dhcp (default: pool)'),
    auxAddress: list('NAME=ADDRESS', "Somebody else's address: never handed out"),
    attachable: flag("Accepted for Docker's sake: any container may join"),
    internal: flag('No way out: no default route, no masquerade, no published ports'),
    ipv4: flag('Give IPv4 addresses; --ipv4=false for an IPv6-only network (default: true)'),
    ipv6: flag('Give IPv6 addresses too'),
    opt: list('KEY=VALUE', 'Option of the driver'),
    label: list('KEY=VALUE', 'Label'),
    ...CHANGE_FLAGS,
  },
  shorts: { d: 'driver', o: 'opt' },
  completeFlag: { driver: 'driver', opt: 'option' },
  args: { kind: 'tuple', parameters: [{ brief: 'Name of the network', parse: String, placeholder: 'NETWORK' }] },
  load: async () => (await actions()).create,
});

const ls = define<ListFlags, []>({
  path: 'network ls',
  otherPaths: ['network list'],
  topic: 'Networks',
  brief: 'List networks',
  description:
    'Lists the networks, by name. bridge, host and none are always there. SCOPE is global for a network that the nodes of a cluster share (driver overlay), else local.\n\nFields of --format: .ID .Name .Driver .Scope .Subnets .IPv4 .IPv6 .Internal .Labels .CreatedAt .RunningFor',
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
  description:
    "Prints a JSON array under Docker's field names; with --json, the API's own records. Options of a network that hosts share say what it is between them, Peers which hosts have it, and by which backend each is reached, IPAM what of it is this host's.",
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

const update = define<UpdateFlags, [string]>({
  path: 'network update',
  topic: 'Networks',
  brief: 'Change a network in place',
  description: `Changes options of a network while its containers run, and prints what was named. Options that are not named stay as they are. What only a new network can have (its driver, its subnets, the name of its bridge) is an error, and nothing is changed.

--label replaces all labels; --label '' takes them away.`,
  examples: [
    { command: 'netloom network update -o mtu=1400 web', note: 'A smaller MTU, on every interface at once.' },
    { command: 'netloom network update --internal=false db', note: 'From now on it has a way out.' },
    { command: 'netloom network update --dry-run -o icc=false web', note: 'Only show the commands it stands for.' },
  ],
  flags: {
    opt: list('KEY=VALUE', 'Option of the driver, as in netloom network create'),
    internal: flag('No way out; --internal=false for one'),
    label: list('KEY=VALUE', 'Label, in place of all that it has'),
    ...CHANGE_FLAGS,
  },
  shorts: { o: 'opt' },
  args: {
    kind: 'tuple',
    parameters: [{ brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' }],
  },
  completeArgs: ['network'],
  load: async () => (await actions()).update,
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
    ...ENDPOINT_FLAGS,
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

export const NETWORK_COMMANDS: readonly CommandDef[] = [create, ls, inspect, update, rm, prune, connect, disconnect];
