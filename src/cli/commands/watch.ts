import { EVENT_TYPES, type EventType } from '../../model/events.ts';
import type { CommandDef } from '../command.ts';
import { define } from '../command.ts';
import { CHANGE_FLAGS, flag, text } from '../flags.ts';
import type { ChangeFlags, GlobalFlags } from '../flags.ts';
import type { DoctorFlags } from '../actions/mend.ts';
import type { EventsFlags } from '../actions/watch.ts';

const mending = (): Promise<typeof import('../actions/mend.ts')> => import('../actions/mend.ts');
const watching = (): Promise<typeof import('../actions/watch.ts')> => import('../actions/watch.ts');
const FORMAT = text('TEMPLATE', "`json`, or a template of fields: '{{.Type}} {{.Action}} {{.Name}}'");

const doctor = define<DoctorFlags, string[]>({
  path: 'doctor',
  topic: 'Watch and mend',
  brief: 'Look for what is wrong with the host and its networks',
  description: `Looks at the kernel, its settings and limits, other firewalls, routes, name servers, and at everything that netloom made, and changes nothing. Each finding is a line: ✔ in order, i good to know, ! a warning, ✘ a failure, ? could not be found out. Below a warning or failure stand what was seen, and what cures it.

With names of checks, only these. Ends with 1 when anything failed.`,
  examples: [
    { command: 'netloom doctor', note: 'Everything.' },
    { command: 'netloom doctor -v foreign-drops', note: 'One check, with what was seen even where all is well.' },
    { command: 'netloom doctor --json', note: 'For programs.' },
  ],
  flags: { verbose: flag('Show evidence for what is in order too') },
  shorts: { v: 'verbose' },
  args: { kind: 'array', parameter: { brief: 'Name of a check', parse: String, placeholder: 'CHECK' } },
  completeArgs: ['none'],
  load: async () => (await mending()).doctor,
});

const gc = define<ChangeFlags, []>({
  path: 'gc',
  topic: 'Watch and mend',
  brief: 'Reclaim what the dead left, and put back what is missing',
  description:
    'Gives back the addresses, ports and interfaces of workloads that ended without saying so, removes what of netloom is in the kernel and wanted by nobody, and puts back what is wanted and missing. Prints a line for each. What is not netloom’s is never touched. A daemon does the same by itself all the time. Ends with 1 when something could not be put right.',
  examples: [
    { command: 'netloom gc --dry-run', note: 'Look first.' },
    { command: 'netloom gc', note: 'reclaimed: endpoint eth0 of blog: its namespace is gone' },
  ],
  flags: CHANGE_FLAGS,
  args: [],
  load: async () => (await mending()).gc,
});

const events = define<EventsFlags, []>({
  path: 'events',
  topic: 'Watch and mend',
  brief: 'Show what happens, as it happens',
  description: `Prints a line for everything that the daemon does and sees from now on, until ^C: networks, endpoints and containers that come and go, repairs with their cause, leases, collections. Queries of names are told only where --type dns asks for them.

With --json, each line is an object of its own. A reader that is too slow misses events, and is told how many: engine behind (lost=N).

Fields of --format: .Time .Type .Action .ID .Name .Attributes`,
  examples: [
    { command: 'netloom events', note: 'Everything but names.' },
    { command: 'netloom events --type repair --type gc', note: 'Only what had to be mended.' },
    { command: 'netloom events --json | jq -r \'select(.action == "die") | .name\'', note: 'For programs.' },
  ],
  flags: {
    type: {
      kind: 'enum',
      values: [...EVENT_TYPES] as EventType[],
      variadic: true,
      optional: true,
      brief: 'Only events of this type',
      placeholder: 'TYPE',
    },
    format: FORMAT,
  },
  args: [],
  load: async () => (await watching()).events,
});

const dnsLog = define<EventsFlags, []>({
  path: 'dns log',
  topic: 'Watch and mend',
  brief: 'Show the names that containers ask for',
  description: `Prints a line for every query that the resolver of a network answers from now on, until ^C: who asked for what, and what came of it. The same as netloom events --type dns.

Fields of --format: .Time .Type .Action .ID .Name .Attributes`,
  examples: [{ command: 'netloom dns log', note: 'Everything that is asked.' }],
  flags: { format: FORMAT },
  args: [],
  load: async () => (await watching()).dnsLog,
});

const metrics = define<GlobalFlags, []>({
  path: 'metrics',
  topic: 'Watch and mend',
  brief: 'Print counters for Prometheus',
  description:
    "Prints the daemon's counters in Prometheus' text format: what GET /metrics on its socket answers. docs/metrics.md lists them.",
  examples: [{ command: 'netloom metrics | grep netloom_repairs', note: 'How often something had to be put right.' }],
  flags: {},
  args: [],
  load: async () => (await watching()).metrics,
});

export const WATCH_COMMANDS: readonly CommandDef[] = [doctor, gc, events, dnsLog, metrics];
