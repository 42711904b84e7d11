import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { ENDPOINT_FLAGS, rateFlags } from '../endpoint-flags.ts';
import { CHANGE_FLAGS, flag, LIST_FLAGS, list, parsed, text } from '../flags.ts';
import type { ChangeFlags, ListFlags } from '../flags.ts';
import type { AttachFlags, UpdateFlags } from '../actions/endpoint.ts';
import { publish, unpublish } from '../parse/lazy.ts';
import { parseRoute, parseSysctl } from '../parse/tuning.ts';
import { parseUid } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/endpoint.ts')> => import('../actions/endpoint.ts');

const ls = define<ListFlags, []>({
  path: 'endpoint ls',
  otherPaths: ['endpoint list'],
  topic: 'Endpoints',
  brief: 'List endpoints',
  description:
    'Lists every interface on every network: those of containers, and those attached to bare namespaces.\n\nFields of --format: .ID .Network .Container .Namespace .Interface .HostInterface .MacAddress .Addresses .Gateways .Ports .Type .IngressRate .EgressRate .CreatedAt',
  examples: [
    { command: "netloom endpoint ls --format '{{.Namespace}} {{.Addresses}}'", note: 'Where each address is.' },
  ],
  flags: LIST_FLAGS,
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const attach = define<AttachFlags, [string, string | undefined]>({
  path: 'endpoint attach',
  topic: 'Endpoints',
  brief: 'Connect a namespace to a network',
  description: `Gives a namespace that you made an interface on a network, and prints the id of the endpoint. The namespace is a name as ip netns lists it, a path, or the id of a process.

With --tap it makes a tap device for a virtual machine instead, in the host's namespace where none is named: netloom endpoint attach --tap NAME NETWORK. The machine has the address that the endpoint shows, by DHCP or router advertisement from the network.

RATE is bits a second in the words of tc(8): 10mbit, 1gbit, 500kbit; 10mbps is bytes; none is no limit.`,
  examples: [
    { command: 'netloom endpoint attach blue web', note: 'The namespace that ip netns add blue made.' },
    {
      command: 'netloom endpoint attach --ip 172.20.0.9 -p 8080:80 /proc/4711/ns/net web',
      note: 'The namespace of a process.',
    },
    {
      command: 'netloom endpoint attach --sysctl net.core.somaxconn=500 blue web',
      note: 'With a parameter of its own.',
    },
    { command: 'netloom endpoint attach --tap vm0 web', note: 'qemu … -netdev tap,ifname=vm0,script=no,downscript=no' },
  ],
  flags: {
    ...ENDPOINT_FLAGS,
    name: text('NAME', 'A name of your own to find it by, besides its id'),
    tap: text('NAME', 'Make a tap device of that name for a virtual machine, instead of an interface'),
    tapUid: parsed('UID', parseUid, 'The user who may open the tap device (default: root)'),
    publish: list('PORT', 'Publish a port, as in netloom run', publish),
    sysctl: list('NAME=VALUE', 'A parameter of the namespace; IFNAME in it is the interface', parseSysctl),
    route: list('ROUTE', "Another route, as in ip(8): '192.0.2.0/24 via 10.0.0.9'", parseRoute),
    sourceRoutes: flag('What has its address leaves by it, whichever network has the default route'),
    ...CHANGE_FLAGS,
  },
  shorts: { p: 'publish' },
  args: {
    kind: 'tuple',
    parameters: [
      { brief: 'Name, path, or process id; left out with --tap', parse: String, placeholder: 'NETNS' },
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK', optional: true },
    ],
  },
  completeArgs: ['none', 'network'],
  load: async () => (await actions()).attach,
});

const detach = define<ChangeFlags, string[]>({
  path: 'endpoint detach',
  topic: 'Endpoints',
  brief: 'Take endpoints away',
  description: 'Takes the interface out of the namespace, with its address and its ports.',
  examples: [{ command: 'netloom endpoint detach 5d2a', note: 'By the beginning of its id.' }],
  flags: CHANGE_FLAGS,
  args: {
    kind: 'array',
    minimum: 1,
    parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'ENDPOINT' },
  },
  completeArgs: ['endpoint'],
  load: async () => (await actions()).detach,
});

const update = define<UpdateFlags, string[]>({
  path: 'endpoint update',
  topic: 'Endpoints',
  brief: 'Change ports and rates of endpoints',
  description:
    'Publishes ports, takes them back, or limits the traffic of endpoints in bare namespaces, while it flows, and prints what was named. For endpoints of containers there are netloom publish, unpublish and update.',
  examples: [
    { command: 'netloom endpoint update --egress-rate 10mbit 5d2a', note: 'It sends at most 10 Mbit/s.' },
    { command: 'netloom endpoint update -p 8080:80 --unpublish 9090 5d2a', note: 'Another port instead.' },
  ],
  flags: {
    publish: list('PORT', 'Publish a port, as in netloom run', publish),
    unpublish: list('HOSTPORT', 'Take a published port back, as in netloom unpublish', unpublish),
    ...rateFlags('as it is'),
    ...CHANGE_FLAGS,
  },
  shorts: { p: 'publish' },
  args: {
    kind: 'array',
    minimum: 1,
    parameter: { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'ENDPOINT' },
  },
  completeArgs: ['endpoint'],
  load: async () => (await actions()).update,
});

export const ENDPOINT_COMMANDS: readonly CommandDef[] = [ls, attach, update, detach];
