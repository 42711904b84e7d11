import { parseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type Dependency, readDependsOn } from './depends.ts';
import { type EnvironmentSource, readEnvironment } from './environment.ts';
import type { Position } from './errors.ts';
import { DEPLOY_KEYS, SERVICE_KEYS } from './keys.ts';
import { record } from './network.ts';
import { readPorts, type ServicePort } from './ports.ts';
import type { Ignore, Reader } from './reader.ts';
import { checkMac, readServiceNetworks, type ServiceNetwork } from './service-network.ts';
import { splitWords } from './shell.ts';
import type { Entry, Tree } from './tree.ts';

/** Where a service's packets go when it joins no network of the file. */
export type ServiceMode =
  | { readonly kind: 'networks' }
  | { readonly kind: 'none' | 'host' | 'bridge'; readonly at: Position }
  | { readonly kind: 'container' | 'service'; readonly name: string; readonly at: Position };

/** A service of the file, read and checked, before names are made and networks looked up. */
export interface ComposeService {
  readonly name: string;
  readonly at: Position;
  readonly command: readonly string[];
  /** As the file has it: relative to the project's folder. Empty: that folder. */
  readonly workingDir: string;
  readonly environment: readonly EnvironmentSource[];
  readonly mode: ServiceMode;
  /** In the order of the interfaces. */
  readonly networks: readonly ServiceNetwork[];
  readonly ports: readonly ServicePort[];
  readonly dependsOn: readonly Dependency[];
  readonly dns: {
    readonly servers?: readonly string[];
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  readonly extraHosts: readonly string[];
  readonly hostname: string;
  readonly containerName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly profiles: readonly string[];
  readonly replicas: number;
  /** False: `up` in the foreground does not show its output. */
  readonly attach: boolean;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly stopSeconds?: number;
}

export function readService(reader: Reader, name: string, entry: Entry, above: Ignore): ComposeService {
  const path = `services.${name}`;
  const at = entry.keyAt;
  const tree = entry.value;
  const ignore = reader.ignore(tree, path, above);
  const keys = reader.section(tree, path, SERVICE_KEYS, ignore);
  const read = <T>(key: string, as: (tree: Tree, path: string) => T | undefined): T | undefined => {
    const found = keys.get(key);
    return found === undefined ? undefined : as(found.value, `${path}.${key}`);
  };
  const string = (key: string): string => read(key, (value, here) => reader.string(value, here)) ?? '';
  const strings = (key: string): string[] | undefined => read(key, (value, here) => reader.strings(value, here));

  const entrypoint = read('entrypoint', (value, here) => readCommand(reader, value, here)) ?? [];
  const command = [...entrypoint, ...(read('command', (value, here) => readCommand(reader, value, here)) ?? [])];
  if (command.length === 0 && !keys.has('command') && !keys.has('entrypoint')) {
    reader.fail(at, path, 'there is no command to run', 'add command: netloom runs no images that would bring one');
  }
  refuseValues(reader, keys, path, ignore);

  const mode = read('network_mode', (value, here) => readMode(reader, value, here)) ?? { kind: 'networks' };
  const networks = read('networks', (value, here) => readServiceNetworks(reader, value, here, ignore)) ?? [];
  const mac = read('mac_address', (value, here) => checkMac(reader, value, here));
  const ports = read('ports', (value, here) => readPorts(reader, value, here, ignore)) ?? [];
  const stopSeconds = read('stop_grace_period', (value, here) =>
    reader.attempt(value.at, here, () => parseSeconds(reader.string(value, here) ?? '')),
  );
  if (mode.kind !== 'networks') checkMode(reader, keys, path, mode);
  const hosts = keys.get('extra_hosts');
  const servers = strings('dns');
  const search = strings('dns_search');
  const options = strings('dns_opt');
  for (const server of servers ?? []) reader.attempt(keys.get('dns')!.value.at, `${path}.dns`, () => parseIp(server));

  return {
    name,
    at,
    command,
    workingDir: string('working_dir'),
    environment: readEnvironment(reader, keys.get('env_file'), keys.get('environment'), path),
    mode,
    networks: withMac(networks, mac),
    ports,
    dependsOn: read('depends_on', (value, here) => readDependsOn(reader, value, here, ignore)) ?? [],
    dns: {
      ...(servers === undefined ? {} : { servers }),
      ...(search === undefined ? {} : { search }),
      ...(options === undefined ? {} : { options }),
    },
    extraHosts: hosts === undefined ? [] : readHosts(reader, hosts.value, `${path}.extra_hosts`),
    hostname: string('hostname'),
    containerName: string('container_name'),
    labels: read('labels', (value, here) => record(reader, value, here)) ?? {},
    profiles: strings('profiles') ?? [],
    replicas: readReplicas(reader, keys, path, ignore),
    attach: read('attach', (value, here) => reader.boolean(value, here)) ?? true,
    ...(stopSeconds === undefined ? {} : { stopSeconds }),
  };
}

/** A text is split into words as a shell would; a list is taken as it is. No shell runs either way. */
function readCommand(reader: Reader, tree: Tree, path: string): string[] | undefined {
  if (tree.kind !== 'scalar')
    return reader.list(tree, path)?.flatMap((item, i) => reader.string(item, `${path}[${i}]`) ?? []);
  const words = splitWords(reader.string(tree, path) ?? '');
  if (words === undefined)
    reader.fail(tree.at, path, 'a quote or a backslash stands alone', 'close it, or write a list of words');
  else if (words.length === 0 && tree.value !== null)
    reader.fail(tree.at, path, 'the command is empty', 'write the command to run');
  return words;
}

function readMode(reader: Reader, tree: Tree, path: string): ServiceMode | undefined {
  const text = reader.string(tree, path);
  if (text === undefined) return undefined;
  const { at } = tree;
  if (text === 'none' || text === 'host' || text === 'bridge') return { kind: text, at };
  const [kind = '', name = ''] = text.split(/:(.*)/s);
  if ((kind === 'container' || kind === 'service') && name !== '') return { kind, name, at };
  reader.fail(
    at,
    path,
    `"${text}" is no network mode`,
    'write none, host, bridge, service:NAME or container:NAME; networks of the file go under networks',
  );
  return undefined;
}

/** What cannot go together with `network_mode`. */
function checkMode(reader: Reader, keys: Map<string, Entry>, path: string, mode: ServiceMode): void {
  const shared = mode.kind === 'host' || mode.kind === 'container' || mode.kind === 'service';
  const refused: Record<string, string> = {
    networks: 'network_mode and networks exclude each other',
    ...(mode.kind === 'bridge'
      ? {}
      : {
          ports: `ports are published into a namespace of the service's own, which network_mode ${mode.kind} has not`,
        }),
    ...(mode.kind === 'bridge'
      ? {}
      : { mac_address: `there is no interface to give an address to with network_mode ${mode.kind}` }),
    ...(shared && mode.kind !== 'host'
      ? { hostname: 'the host name belongs to the service whose namespace is shared' }
      : {}),
  };
  for (const [key, reason] of Object.entries(refused)) {
    const entry = keys.get(key);
    if (entry !== undefined) reader.fail(entry.keyAt, `${path}.${key}`, reason, `remove ${key}, or network_mode`);
  }
}

/** Keys that netloom honours for one value only. */
function refuseValues(reader: Reader, keys: Map<string, Entry>, path: string, ignore: Ignore): void {
  const only = (key: string, accepted: readonly string[], reason: string): void => {
    const entry = keys.get(key);
    const text = entry === undefined ? undefined : reader.string(entry.value, `${path}.${key}`);
    if (text === undefined || accepted.includes(text)) return;
    reader.refuse(entry!.value.at, `${path}.${key}`, key, ignore, reason, `write ${accepted[0]}, remove the key`);
  };
  only('restart', ['"no"', 'no', 'false'], 'netloom does not restart commands that end; use a systemd unit for that');
  only('stop_signal', ['SIGTERM', 'TERM', '15'], 'netloom ends commands with SIGTERM, then SIGKILL');
}

function readReplicas(reader: Reader, keys: Map<string, Entry>, path: string, ignore: Ignore): number {
  const most = 1000;
  const scale = keys.get('scale');
  const scaled = scale === undefined ? undefined : reader.integer(scale.value, `${path}.scale`, 0, most);
  const deploy = keys.get('deploy');
  if (deploy === undefined) return scaled ?? 1;
  const here = `${path}.deploy`;
  const inside = reader.section(deploy.value, here, DEPLOY_KEYS, ignore);
  const mode = inside.get('mode');
  if (mode !== undefined && reader.string(mode.value, `${here}.mode`) !== 'replicated') {
    reader.refuse(
      mode.value.at,
      `${here}.mode`,
      'deploy',
      ignore,
      'netloom starts a given number of containers, on this host',
      'write replicated, remove the key',
    );
  }
  const replicas = inside.get('replicas');
  const number = replicas === undefined ? undefined : reader.integer(replicas.value, `${here}.replicas`, 0, most);
  if (scaled !== undefined && number !== undefined && scaled !== number) {
    reader.fail(
      scale!.keyAt,
      `${path}.scale`,
      `scale says ${scaled} and deploy.replicas ${number}`,
      'keep one of them',
    );
  }
  return scaled ?? number ?? 1;
}

/** `name:address`, from a list of `name:address` or `name=address`, or from a map of addresses or lists of them. */
function readHosts(reader: Reader, tree: Tree, path: string): string[] {
  const pairs: { name: string; address: string; at: Position }[] = [];
  if (tree.kind === 'list') {
    for (const [name, { at, value }] of reader.pairs(tree, path, '=:') ?? [])
      pairs.push({ name, address: value ?? '', at });
  } else {
    for (const [name, { value }] of reader.map(tree, path)?.entries ?? []) {
      for (const address of reader.strings(value, `${path}.${name}`) ?? []) pairs.push({ name, address, at: value.at });
    }
  }
  return pairs.flatMap(({ name, address, at }) => {
    if (address === 'host-gateway') return `${name}:${address}`;
    const ip = reader.attempt(at, `${path}.${name}`, () => parseIp(address.replace(/^\[(.*)\]$/, '$1')));
    return ip === undefined ? [] : `${name}:${ip.text}`;
  });
}

/** The service's own MAC address goes to its first interface, unless the network entry has one. */
function withMac(networks: readonly ServiceNetwork[], mac: string | undefined): readonly ServiceNetwork[] {
  if (mac === undefined) return networks;
  // an empty key stands for the network that a service without `networks` joins
  const [first = { key: '', aliases: [], addresses: [] }, ...rest] = networks;
  return [{ mac, ...first }, ...rest];
}

/** `90`, `10s`, `1m30s`, `500ms`: whole seconds, rounded up. @throws NetloomError EBADDURATION */
export function parseSeconds(text: string): number {
  const units: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, '': 1 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h|$)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new NetloomError('EBADDURATION', `"${text}" is no duration: write one such as 10s or 1m30s`);
  }
  return Math.ceil(parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit ?? '']!, 0));
}
