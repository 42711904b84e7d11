import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { CHANGE_FLAGS, LIST_FLAGS, list, parsed, text } from '../flags.ts';
import type { ChangeFlags, ListFlags } from '../flags.ts';
import type { AttachFlags } from '../actions/endpoint.ts';
import { publish } from '../parse/lazy.ts';
import { parseWhole } from '../parse/words.ts';

const actions = (): Promise<typeof import('../actions/endpoint.ts')> => import('../actions/endpoint.ts');

const ls = define<ListFlags, []>({
  path: 'endpoint ls',
  otherPaths: ['endpoint list'],
  topic: 'Endpoints',
  brief: 'List endpoints',
  description:
    'Lists every interface on every network: those of containers, and those attached to bare namespaces.\n\nFields of --format: .ID .Network .Container .Namespace .Interface .HostInterface .MacAddress .Addresses .Gateways .Ports .CreatedAt',
  examples: [
    { command: "netloom endpoint ls --format '{{.Namespace}} {{.Addresses}}'", note: 'Where each address is.' },
  ],
  flags: LIST_FLAGS,
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const attach = define<AttachFlags, [string, string]>({
  path: 'endpoint attach',
  topic: 'Endpoints',
  brief: 'Connect a namespace to a network',
  description:
    'Gives a namespace that you made an interface on a network, and prints the id of the endpoint. The namespace is a name as ip netns lists it, a path, or the id of a process.',
  examples: [
    { command: 'netloom endpoint attach blue web', note: 'The namespace that ip netns add blue made.' },
    {
      command: 'netloom endpoint attach --ip 172.20.0.9 -p 8080:80 /proc/4711/ns/net web',
      note: 'The namespace of a process.',
    },
  ],
  flags: {
    ip: text('ADDRESS', 'IPv4 address (default: the next free one)'),
    ip6: text('ADDRESS', 'IPv6 address (default: the next free one)'),
    alias: list('NAME', 'Another name for it on this network'),
    macAddress: text('MAC', 'Hardware address (default: made from the address)'),
    gwPriority: parsed('NUMBER', parseWhole, 'The network with the highest number has the default route (default: 0)'),
    ifname: text('NAME', 'Name of the interface inside (default: the first free ethN)'),
    publish: list('PORT', 'Publish a port, as in netloom run', publish),
    ...CHANGE_FLAGS,
  },
  shorts: { p: 'publish' },
  args: {
    kind: 'tuple',
    parameters: [
      { brief: 'Name, path, or process id', parse: String, placeholder: 'NETNS' },
      { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'NETWORK' },
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
    parameter: { brief: 'Id or beginning of an id', parse: String, placeholder: 'ENDPOINT' },
  },
  completeArgs: ['endpoint'],
  load: async () => (await actions()).detach,
});

export const ENDPOINT_COMMANDS: readonly CommandDef[] = [ls, attach, detach];
