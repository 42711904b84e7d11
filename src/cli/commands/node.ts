import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { flag, INSPECT_FLAGS, list, LIST_FLAGS, text } from '../flags.ts';
import type { GlobalFlags, InspectFlags, ListFlags } from '../flags.ts';
import type { DrainFlags, JoinFlags, RemoveFlags, StatusFlags } from '../actions/node.ts';

const actions = (): Promise<typeof import('../actions/node.ts')> => import('../actions/node.ts');
const NODE = { brief: 'Its name in the cluster', parse: String, placeholder: 'NODE' } as const;

const join = define<JoinFlags, []>({
  path: 'node join',
  topic: 'Nodes',
  brief: 'Make this host a member of a cluster',
  description: `Makes this host a node of the cluster whose records are in etcd, for good: the daemon, which must run, is one again after each start. It prints the node's name, and the address at which the others reach it with the reason why it is that one.

The first node makes the cluster: there is nothing to set up in etcd. The address is the one that this host uses towards etcd, unless --address says another: one of IPv4, one of IPv6, or both.

Before anything is changed it looks at what shared networks would need: clocks, ports, the way to the other nodes and its MTU. What would not work is an error, unless -f is given; what may hurt is a warning, and the host joins. With --json all that was looked at is told, and netloom node check looks again at any time.

Joining again with the same words changes nothing; with others it changes what they say.

Files are read by the daemon, at each of its starts: keep them where they are. Variables of etcdctl are not read.`,
  examples: [
    { command: 'netloom node join --etcd http://192.0.2.10:2379', note: 'An etcd that lets everybody in.' },
    {
      command:
        'netloom node join --etcd https://etcd1:2379,https://etcd2:2379 --ca /etc/netloom/ca.pem --cert /etc/netloom/node.pem --key /etc/netloom/node.key',
      note: 'TLS, with a certificate of this host; any of the members.',
    },
    {
      command: 'netloom node join --etcd http://192.0.2.10:2379 --name rack7 --address 10.0.0.7 --address fd00::7',
      note: 'A name and addresses of your own choice.',
    },
    {
      command:
        'netloom node join --etcd http://192.0.2.10:2379 --prefix /lab/ --user lab --password-file /etc/netloom/password',
      note: "One of several clusters on an etcd that asks for its users' names.",
    },
    {
      command: 'netloom node join --etcd http://192.0.2.10:2379 --bgp-asn 64601 --bgp-neighbor 192.0.2.254:64513',
      note: 'For networks with backend bgp: an AS of its own, and the router of its rack.',
    },
  ],
  flags: {
    etcd: list('URL', 'Members of etcd, also with commas between them (environment: NETLOOM_ETCD)'),
    prefix: text('KEY', 'Before every key in etcd (default: /netloom/)'),
    ca: text('FILE', "Certificate of who signed etcd's, in PEM (default: those that the system trusts)"),
    cert: text('FILE', "This host's certificate, in PEM"),
    key: text('FILE', 'The key of --cert, in PEM'),
    user: text('NAME', 'User of etcd; with --password-file'),
    passwordFile: text('FILE', 'Its first line is the password of --user'),
    name: text('NAME', "Name of the node, unique in the cluster (default: the host's)"),
    address: list('ADDRESS', 'Where the other nodes reach this one (default: what it uses towards etcd)'),
    ttl: text('SECONDS', 'After which it is taken for down when etcd does not hear of it, 5 to 600 (default: 10)'),
    bgpAsn: text('AS', "This host's AS, for networks with backend bgp (default: what they say)"),
    bgpNeighbor: list('ADDRESS:AS', 'A router that it speaks BGP with (default: what these networks say)'),
    force: flag('Also where something would not work'),
  },
  shorts: { f: 'force' },
  args: [],
  completeFlag: { ca: 'file', cert: 'file', key: 'file', passwordFile: 'file' },
  load: async () => (await actions()).join,
});

const check = define<GlobalFlags, string[]>({
  path: 'node check',
  topic: 'Nodes',
  brief: 'Look at what shared networks need of this host',
  description: `Looks at what a join looks at, as it is now, and prints a line for each: ok, warn, or stop for what does not work; with stop it fails with status 1. Nothing is changed.

reachable: whether the other nodes answer, at UDP port 8284; those that are heard of, or those that are named; of more than 16 those that follow this host by name. checksum: whether they answer nothing but datagrams without one. address: whether they see this host by the address that it has in the cluster. route: whether packets to them leave where theirs come in. clock: how far clocks differ. mtu: the biggest packets that come through. subnet and port: whether a range of a network, or the port of its tunnel, is somebody else's on this host. network: what could not be made here.`,
  examples: [
    { command: 'netloom node check', note: 'The way to all nodes that are heard of.' },
    { command: 'netloom node check b', note: 'To one of them, heard of or not.' },
  ],
  flags: {},
  args: { kind: 'array', minimum: 0, parameter: NODE },
  completeArgs: ['node'],
  load: async () => (await actions()).check,
});

const ls = define<ListFlags, []>({
  path: 'node ls',
  otherPaths: ['node list'],
  topic: 'Nodes',
  brief: 'List the nodes of the cluster',
  description: `Lists the nodes, by name; * is this host. ready: it was heard of within its time. draining: the same, and it takes no new endpoints of shared networks. down: it is not heard of; what it has stays its own until it is removed.

DEV and MTU are of the interface that has the address; netloom node inspect says why it is that address.

Fields of --format: .ID .Name .Self .Status .Addresses .Reason .Interface .MTU .Version .Networks .Endpoints .CreatedAt .RunningFor`,
  examples: [
    { command: 'netloom node ls', note: 'A table.' },
    { command: "netloom node ls --format '{{.Name}} {{.Reason}}'", note: 'Why each has its address.' },
    { command: 'netloom --json node ls', note: "The API's own records." },
  ],
  flags: { ...LIST_FLAGS, quiet: flag('Print names only') },
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const inspect = define<InspectFlags, string[]>({
  path: 'node inspect',
  topic: 'Nodes',
  brief: 'Show everything about nodes',
  description:
    "Prints a JSON array of the nodes: their addresses with the reason, and what they have of each shared network; with --json, the API's own records.",
  examples: [
    { command: 'netloom node inspect a', note: 'Everything.' },
    {
      command: 'netloom node inspect -f \'{{range .Networks}}{{.Name}} {{join .Prefixes ","}} {{end}}\' a',
      note: 'Its prefixes.',
    },
  ],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: { kind: 'array', minimum: 1, parameter: NODE },
  completeArgs: ['node'],
  load: async () => (await actions()).inspect,
});

const drain = define<DrainFlags, [string | undefined]>({
  path: 'node drain',
  topic: 'Nodes',
  brief: 'Have a node take no new endpoints of shared networks',
  description:
    'From now on the node takes no new endpoints of networks that hosts share; those that it has stay, and go on talking. With --undo it takes them again. Networks of the host alone are as ever. Prints the name of the node.',
  examples: [
    { command: 'netloom node drain', note: 'This host: before it is shut down for work.' },
    { command: 'netloom node drain --undo b', note: 'b is back.' },
  ],
  flags: { undo: flag('Take them again') },
  args: { kind: 'tuple', parameters: [{ ...NODE, brief: `${NODE.brief} (default: this host)`, optional: true }] },
  completeArgs: ['node'],
  load: async () => (await actions()).drain,
});

const rotateKeys = define<GlobalFlags, string[]>({
  path: 'node rotate-keys',
  topic: 'Nodes',
  brief: 'Change the keys of this host in encrypted networks',
  description: `This host begins to change its keys in the networks named, or in all whose backend has some (wireguard, ipsec), and prints the names of these networks once the other nodes are told. No packet is lost. With ipsec the rest follows by itself in twenty seconds; the key pair stays there, and what changes is what everything is encrypted by.

Without this command, keys of ipsec change once a day, and those of wireguard, whose protocol draws new ones for each session, stay: -o rekey=INTERVAL of network create and network update says otherwise. netloom node inspect shows when they were last changed.`,
  examples: [
    { command: 'netloom node rotate-keys', note: 'In all networks that have keys.' },
    { command: 'netloom node rotate-keys pods', note: 'In one.' },
  ],
  flags: {},
  args: {
    kind: 'array',
    minimum: 0,
    parameter: { brief: 'Name or id of a network', parse: String, placeholder: 'NETWORK' },
  },
  completeArgs: ['network'],
  load: async () => (await actions()).rotateKeys,
});

const rm = define<RemoveFlags, string[]>({
  path: 'node rm',
  otherPaths: ['node remove'],
  topic: 'Nodes',
  brief: 'Take nodes out of the cluster',
  description: `Takes nodes out of the cluster with all that they have there, and prints what was named: their addresses and prefixes may be another's from now on. This very host leaves the cluster.

A node that is heard of, or that has endpoints on shared networks, is an error; with -f it goes all the same. Be sure then that its workloads have ended: two of them might have one address.`,
  examples: [
    { command: 'netloom node rm b', note: 'A host that does not come back.' },
    { command: 'netloom node rm -f b c', note: 'Also where they have endpoints.' },
  ],
  flags: { force: flag('Also a node that is heard of, or has endpoints') },
  shorts: { f: 'force' },
  args: { kind: 'array', minimum: 1, parameter: NODE },
  completeArgs: ['node'],
  load: async () => (await actions()).rm,
});

const status = define<StatusFlags, []>({
  path: 'node status',
  topic: 'Nodes',
  brief: "Show this host's place in a cluster",
  description: `Prints the name of this host in its cluster, whether etcd answers, and which etcd that is. connected: etcd is reached. away: etcd does not answer; what runs goes on, and what must be asked of etcd is refused. lost: the host was not heard of for too long, and another may have its name. none: it is in no cluster.

Where networks have backend bgp, a line follows for each BGP neighbor: its address and AS, the state of the session and since when, prefixes received and sent. What does not work has a line each, that begins with fault: neighbors without a session and why, nodes that are not reached, networks that could not be made here.

It never fails for a cluster that is away.

Fields of --format: .Name .State .Reason .Etcd .Faults .BGP (.ASN .RouterId .Listening .Neighbors, of which each has .Address .ASN .Node .State .Since .Received .Kept .Sent .Reason)`,
  examples: [
    { command: 'netloom node status', note: 'For people.' },
    { command: "netloom node status --format '{{.State}}'", note: 'connected, away, lost or none.' },
  ],
  flags: { format: text('TEMPLATE', "`json`, or a template of fields: '{{.Name}} {{.State}}'") },
  shorts: { f: 'format' },
  args: [],
  load: async () => (await actions()).status,
});

export const NODE_COMMANDS: readonly CommandDef[] = [join, check, ls, inspect, drain, rotateKeys, rm, status];
