import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { flag, INSPECT_FLAGS, list, LIST_FLAGS, text } from '../flags.ts';
import type { GlobalFlags, InspectFlags, ListFlags } from '../flags.ts';
import type { CreateFlags, RemoveFlags } from '../actions/pool.ts';

const actions = (): Promise<typeof import('../actions/pool.ts')> => import('../actions/pool.ts');
const POOL = { brief: 'Name, id or beginning of an id', parse: String, placeholder: 'POOL' } as const;

const create = define<CreateFlags, [string | undefined]>({
  path: 'pool create',
  topic: 'Address pools',
  brief: 'Make a pool of addresses for networks that others make',
  description: `Makes a pool, or finds the one of that name, and prints its id. Its addresses are for networks that are not netloom's: of plugins that ask netloom-ipam, and of Docker with --ipam-driver netloom, which make their pools by themselves where there is none. Networks of netloom's own have their subnets by netloom network create.

Without --subnet it takes one that no route of the host, no network and no pool has, and networks leave it alone from then on. With it, only other pools are looked at: whose network it is, its owner knows.

A pool outlives a reboot; what was allocated from it does not.`,
  examples: [
    { command: 'netloom pool create lab', note: 'The next free subnet.' },
    {
      command: 'netloom pool create --subnet 10.7.0.0/24 --ip-range 10.7.0.128/25 --aux-address nas=10.7.0.130 lab',
      note: 'Half of a subnet, without an address that somebody has.',
    },
    { command: 'netloom pool create --subnet fd00:7::/64 --gateway none lab6', note: 'Nobody is the gateway.' },
  ],
  flags: {
    subnet: text('PREFIX', 'Subnet, such as 10.7.0.0/24 or fd00:7::/64 (default: a free one)'),
    gateway: text('ADDRESS', 'Never handed out, or none (default: the first of the subnet)'),
    ipRange: text('PREFIX', 'Take automatic addresses from this part of the subnet only'),
    auxAddress: list('NAME=ADDRESS', "Somebody else's address: never handed out"),
    ipv6: flag('Choose a free subnet of IPv6 instead of one of IPv4'),
  },
  args: {
    kind: 'tuple',
    parameters: [{ brief: 'Its name (default: after its id)', parse: String, placeholder: 'POOL', optional: true }],
  },
  load: async () => (await actions()).create,
});

const ls = define<ListFlags, []>({
  path: 'pool ls',
  otherPaths: ['pool list'],
  topic: 'Address pools',
  brief: 'List address pools',
  description:
    'Lists the pools, by name.\n\nFields of --format: .ID .Name .Subnet .Gateway .IPRange .AuxAddresses .CreatedAt .RunningFor',
  examples: [{ command: "netloom pool ls --format '{{.Name}} {{.Subnet}}'", note: 'Two fields a line.' }],
  flags: LIST_FLAGS,
  shorts: { q: 'quiet' },
  args: [],
  load: async () => (await actions()).ls,
});

const inspect = define<InspectFlags, string[]>({
  path: 'pool inspect',
  topic: 'Address pools',
  brief: 'Show address pools, and who has their addresses',
  description: "Prints a JSON array of the pools with what was allocated; with --json, the API's own records.",
  examples: [
    {
      command: "netloom pool inspect -f '{{range .Allocations}}{{.Address}} {{.Owner}} {{end}}' lab",
      note: 'Who has what.',
    },
  ],
  flags: INSPECT_FLAGS,
  shorts: { f: 'format' },
  args: { kind: 'array', minimum: 1, parameter: POOL },
  completeArgs: ['pool'],
  load: async () => (await actions()).inspect,
});

const release = define<GlobalFlags, string[]>({
  path: 'pool release',
  topic: 'Address pools',
  brief: 'Give back addresses that nobody uses any more',
  description:
    'Whoever was given an address gives it back by itself: this is for what a program left behind that did not live to do so. Prints what was named; an address that nobody has is given back already.',
  examples: [{ command: 'netloom pool release lab 10.7.0.5', note: 'The next one who asks may have it.' }],
  flags: {},
  args: {
    kind: 'array',
    minimum: 2,
    parameter: { brief: 'The pool, then its addresses', parse: String, placeholder: 'POOL ADDRESS' },
  },
  completeArgs: ['pool', 'none'],
  load: async () => (await actions()).release,
});

const rm = define<RemoveFlags, string[]>({
  path: 'pool rm',
  otherPaths: ['pool remove'],
  topic: 'Address pools',
  brief: 'Remove address pools',
  description:
    'Removes pools, and prints what was named. One with addresses that somebody has is an error that names the first of them; with -f it goes all the same, and so do its allocations.',
  examples: [{ command: 'netloom pool rm lab', note: 'Its subnet is free again.' }],
  flags: { force: flag('Also where addresses are given out') },
  shorts: { f: 'force' },
  args: { kind: 'array', minimum: 1, parameter: POOL },
  completeArgs: ['pool'],
  load: async () => (await actions()).rm,
});

export const POOL_COMMANDS: readonly CommandDef[] = [create, ls, inspect, release, rm];
