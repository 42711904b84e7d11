import { resolve } from 'node:path';
import { NetloomError } from '../../errors.ts';
import { type ClusterStatus, type EngineApi, type JoinSpec, type Node, parseAsn } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags, InspectFlags, ListFlags } from '../flags.ts';
import { printInspect, printJson, printLine, printList, printOutcome, printWarnings } from '../output/print.ts';
import { compileTemplate } from '../output/template.ts';
import type { View } from '../output/views.ts';
import { nodeInspect, nodeRow, statusLines, statusView } from '../output/nodes.ts';
import { change, changeEach, withApi } from './session.ts';

export interface JoinFlags extends GlobalFlags {
  readonly etcd?: readonly string[];
  readonly prefix?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly name?: string;
  readonly address?: readonly string[];
  readonly ttl?: string;
  readonly bgpAsn?: string;
  readonly bgpNeighbor?: readonly string[];
  readonly force?: boolean;
}

export async function join(this: CliContext, flags: JoinFlags): Promise<void> {
  const spec = joinSpec(flags, this.io.env);
  const answer = await change(this, flags, 'joining the cluster', (api) =>
    api.nodeJoin(spec, flags.force === true ? { force: true } : {}),
  );
  const { node, findings } = answer;
  const warnings = findings.filter(({ severity }) => severity !== 'ok').map(({ check, text }) => `${check}: ${text}`);
  printWarnings(this, { warnings });
  if (flags.json === true) return printJson(this, answer);
  printLine(this, node.name);
  printLine(this, `${node.addresses.join(', ')} on ${node.dev}: ${node.reason}`);
}

/** Files are the daemon's to read, whose directory is another. @throws UsageError */
function joinSpec(flags: JoinFlags, env: CliContext['io']['env']): JoinSpec {
  const etcd = (flags.etcd ?? [env['NETLOOM_ETCD'] ?? '']).flatMap((text) => text.split(',')).map((url) => url.trim());
  if (etcd.every((url) => url === ''))
    throw new UsageError('which etcd?', 'Say --etcd URL, such as http://192.0.2.10:2379, or set NETLOOM_ETCD.');
  both('--cert', flags.cert, '--key', flags.key);
  both('--user', flags.user, '--password-file', flags.passwordFile);
  return {
    etcd: etcd.filter((url) => url !== ''),
    ...(flags.prefix !== undefined && { prefix: flags.prefix }),
    ...(flags.ca !== undefined && { caFile: resolve(flags.ca) }),
    ...(flags.cert !== undefined && { certFile: resolve(flags.cert) }),
    ...(flags.key !== undefined && { keyFile: resolve(flags.key) }),
    ...(flags.user !== undefined && { username: flags.user }),
    ...(flags.passwordFile !== undefined && { passwordFile: resolve(flags.passwordFile) }),
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.address !== undefined && { addresses: flags.address }),
    ...(flags.ttl !== undefined && { ttl: secondsOf(flags.ttl) }),
    ...bgpOf(flags),
  };
}

function secondsOf(text: string): number {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (seconds < 5 || seconds > 600) throw new UsageError(`--ttl ${text}`, 'Say 5 to 600 seconds.');
  return seconds;
}

function bgpOf({ bgpAsn, bgpNeighbor }: JoinFlags): Pick<JoinSpec, 'bgp'> {
  if (bgpAsn === undefined && bgpNeighbor === undefined) return {};
  const neighbors = bgpNeighbor?.flatMap((text) => text.split(',').filter((each) => each !== ''));
  return { bgp: { ...(bgpAsn !== undefined && { asn: parseAsn(bgpAsn) }), ...(neighbors && { neighbors }) } };
}

function both(one: string, first: string | undefined, other: string, second: string | undefined): void {
  if ((first === undefined) === (second === undefined)) return;
  const [there, missing] = first === undefined ? [other, one] : [one, other];
  throw new UsageError(`${there} is nothing without ${missing}`, 'Give both, or none.');
}

/** Status 1 where something would not work. */
export async function check(this: CliContext, flags: GlobalFlags, ...names: string[]): Promise<void> {
  const findings = await withApi(this, flags, (api) => api.nodeCheck(names));
  if (findings.some(({ severity }) => severity === 'stop')) this.process.exitCode = 1;
  if (flags.json === true) return printJson(this, findings);
  const width = Math.max(0, ...findings.map(({ check: about }) => about.length));
  for (const { check: about, severity, text } of findings)
    printLine(this, `${severity.padEnd(4)}  ${about.padEnd(width)}  ${text}`);
}

const COLUMNS = [
  {
    title: 'NAME',
    cell: (row: View) => (row['Self'] === true ? `${String(row['Name'])} *` : String(row['Name'])),
    flexible: true,
  },
  { title: 'STATUS', cell: (row: View) => String(row['Status']) },
  { title: 'ADDRESS', cell: (row: View) => String(row['Addresses']), flexible: true },
  { title: 'DEV', cell: (row: View) => String(row['Interface']) },
  { title: 'MTU', cell: (row: View) => String(row['MTU']) },
  { title: 'VERSION', cell: (row: View) => String(row['Version']), flexible: true },
  { title: 'NETWORKS', cell: (row: View) => String(row['Networks']), flexible: true },
];

export async function ls(this: CliContext, flags: ListFlags): Promise<void> {
  const records = await withApi(this, flags, (api) => api.nodeList());
  const look = { noTrunc: flags.noTrunc ?? false, now: this.io.now() };
  printList<Node>(this, flags, {
    records,
    id: ({ name }) => name,
    named: true,
    row: (node) => nodeRow(node, look),
    columns: COLUMNS,
  });
}

export async function inspect(this: CliContext, flags: InspectFlags, ...names: string[]): Promise<void> {
  await withApi(this, flags, async (api) => {
    const records: Node[] = [];
    for (const name of names) records.push(await api.nodeInspect(name));
    printInspect(this, flags, records, nodeInspect);
  });
}

export interface DrainFlags extends GlobalFlags {
  readonly undo?: boolean;
}

export async function drain(this: CliContext, flags: DrainFlags, name?: string): Promise<void> {
  const { undo = false } = flags;
  const value = await change(this, flags, `draining ${name ?? 'this host'}`, async (api) =>
    api.nodeDrain(name ?? (await ownName(api)), undo ? { undo } : {}),
  );
  printOutcome(this, flags, { value }, [value.name]);
}

async function ownName(api: EngineApi): Promise<string> {
  const { node } = await ownStatus(api);
  if (node !== '') return node;
  throw new NetloomError('ENOCLUSTER', 'this host is in no cluster', {
    hint: 'netloom node join makes it a member of one',
  });
}

/** Whoever is no daemon does not know. @throws NetloomError ENODAEMON */
async function ownStatus(api: EngineApi): Promise<ClusterStatus> {
  const found = await api.clusterStatus();
  if (found.state === 'none' && (await api.version()).mode !== 'daemon')
    throw new NetloomError('ENODAEMON', 'no daemon runs, and only a daemon is a node of a cluster', {
      hint: 'start one: netloom daemon, or systemctl start netloom.service',
    });
  return found;
}

export async function rotateKeys(this: CliContext, flags: GlobalFlags, ...refs: string[]): Promise<void> {
  const value = await change(this, flags, 'changing keys', (api) => api.nodeRotateKeys(refs));
  if (flags.json === true) return printJson(this, value);
  for (const { name } of value) printLine(this, name);
}

export interface RemoveFlags extends GlobalFlags {
  readonly force?: boolean;
}

export async function rm(this: CliContext, flags: RemoveFlags, ...names: string[]): Promise<void> {
  const { force = false } = flags;
  await changeEach(this, flags, names, 'removing node', async (api, name) => ({
    value: await api.nodeRemove(name, force ? { force } : {}),
  }));
}

export interface StatusFlags extends GlobalFlags {
  readonly format?: string;
}

export async function status(this: CliContext, flags: StatusFlags): Promise<void> {
  const found = await withApi(this, flags, ownStatus);
  const view = statusView(found);
  if (flags.json === true) printJson(this, found);
  else if (flags.format === 'json') printLine(this, JSON.stringify(view));
  else if (flags.format !== undefined) printLine(this, compileTemplate(flags.format)(view));
  else {
    if (found.state === 'none') printLine(this, 'in no cluster');
    else {
      printLine(this, `${found.node}: ${found.state}${found.reason === '' ? '' : `: ${found.reason}`}`);
      printLine(this, `etcd: ${found.etcd.join(', ')}`);
    }
    // also of networks of flannel's, which need no cluster
    for (const line of statusLines(found, this.io.now())) printLine(this, line);
  }
}
