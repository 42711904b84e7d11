import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type Container, type Endpoint, shortId } from '../model/index.ts';
import type { Paths } from './paths.ts';

/** systemd-resolved's stub, which no container can reach, and the file that has the servers behind it. */
const STUB = '127.0.0.53';
const RESOLVED_UPSTREAMS = '/run/systemd/resolve/resolv.conf';

/** First line of what we write below /etc/netns: files that begin otherwise are somebody else's, and stay as they are. */
const MARK = '# made by netloom; gone with its container';

/** A neighbour on one of a container's networks, by every name it answers to. */
export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

/** What a container's files say of its networks. */
export interface Surroundings {
  /** Where its names are answered; empty: by nobody, and the hosts file has those of the neighbours. */
  readonly resolvers: readonly string[];
  /** Needed only where there is no resolver. */
  readonly neighbours: readonly HostsEntry[];
}

/** The files that a command sees in /etc, as the shim's options name them; those left out it sees as the host does. */
export interface EtcFiles {
  readonly resolv?: string;
  readonly hosts?: string;
  readonly hostnameFile?: string;
}

/** The container's own directory: pid, exit status, log, hostname. */
export function runDirOf(paths: Paths, container: Container): string {
  return join(paths.runDir, 'containers', container.id);
}

/** Those that `writeEtc` made and that are still there. */
export function etcFiles(paths: Paths, container: Container): EtcFiles {
  const there = Object.entries(pathsOf(paths, container)).filter(([, path]) => existsSync(path));
  return Object.fromEntries(there) as EtcFiles;
}

/** The name that a command gets; undefined for that of the host, which a container in host mode keeps unless told otherwise. */
export function hostnameOf(container: Container): string | undefined {
  const automatic = container.hostname === shortId(container.id);
  return container.mode.kind === 'host' && automatic ? undefined : container.hostname;
}

/**
 * Makes the files. Those for a namespace lie in `/etc/netns/NAME`, where `ip netns exec` finds them, too; a container in
 * host mode sees the host's own wherever nothing was asked for. @see ip-netns(8)
 */
export function writeEtc(
  paths: Paths,
  container: Container,
  endpoints: readonly Endpoint[],
  around: Surroundings,
): void {
  const etc = etcDir(paths, container);
  mkdirSync(etc, { recursive: true, mode: 0o755 });
  const files = pathsOf(paths, container);
  for (const [key, text] of Object.entries(contentOf(container, endpoints, around)) as [
    keyof EtcFiles,
    string | undefined,
  ][]) {
    const path = files[key];
    if (text !== undefined && (key === 'hostnameFile' || isOurs(path))) writeFileSync(path, text, { mode: 0o644 });
  }
}

/** Brings them up to date where they are there: a container that is going must not get them back. */
export function updateEtc(
  paths: Paths,
  container: Container,
  endpoints: readonly Endpoint[],
  around: Surroundings,
): void {
  const files = pathsOf(paths, container);
  const content = contentOf(container, endpoints, around);
  for (const key of ['hosts', 'resolv'] as const) {
    const text = content[key];
    const have = read(files[key]);
    if (text !== undefined && have !== text && have.startsWith(MARK)) overwrite(files[key], text);
  }
}

export function removeEtc(paths: Paths, container: Container): void {
  const { resolv, hosts, hostnameFile } = pathsOf(paths, container);
  for (const path of [resolv, hosts]) if (isOurs(path)) rmSync(path, { force: true });
  rmSync(hostnameFile, { force: true });
  const dir = etcDir(paths, container);
  // someone may have put files of their own beside ours
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir);
}

/** `172.18.0.2/16` → `172.18.0.2` */
export function plain(address: string): string {
  return address.slice(0, address.indexOf('/'));
}

function etcDir(paths: Paths, container: Container): string {
  return container.mode.kind === 'host'
    ? runDirOf(paths, container)
    : join(paths.etcNetnsDir, basename(container.netns));
}

function pathsOf(paths: Paths, container: Container): Required<EtcFiles> {
  const dir = etcDir(paths, container);
  return {
    resolv: join(dir, 'resolv.conf'),
    hosts: join(dir, 'hosts'),
    hostnameFile: join(runDirOf(paths, container), 'hostname'),
  };
}

function contentOf(
  container: Container,
  endpoints: readonly Endpoint[],
  around: Surroundings,
): { [K in keyof EtcFiles]: string | undefined } {
  const { dns, extraHosts } = container;
  const host = container.mode.kind === 'host';
  const asked = dns.servers.length + dns.search.length + dns.options.length > 0;
  const name = hostnameOf(container);
  return {
    resolv: host && !asked ? undefined : resolvConf(container, around.resolvers),
    hosts: host && extraHosts.length === 0 ? undefined : hosts(container, endpoints, around),
    hostnameFile: name === undefined ? undefined : `${name}\n`,
  };
}

/**
 * What is not asked for is the host's. Where netloom answers names, it is the only server: it passes on to those that
 * were asked for what is not its own. @see resolv.conf(5)
 */
function resolvConf(container: Container, resolvers: readonly string[]): string {
  const { dns } = container;
  const host = hostResolvConf(container.mode.kind === 'host');
  const others = dns.servers.length > 0 ? dns.servers : host.servers;
  const servers = resolvers.length > 0 ? resolvers.slice(0, MAX_SERVERS) : others;
  const search = dns.search.length > 0 ? dns.search : host.search;
  const asked = dns.options.length > 0 ? dns.options : host.options;
  // a name without a dot is a neighbour's first, and in a search domain only then
  const own = resolvers.length > 0 && !asked.some((option) => option.startsWith('ndots:')) ? ['ndots:0'] : [];
  const options = [...asked, ...own];
  const lines = [MARK, ...servers.map((server) => `nameserver ${server}`)];
  if (servers.length === 0)
    lines.push('# every name server of the host is on its own loopback interface; --dns gives others');
  if (search.length > 0 && search[0] !== '.') lines.push(`search ${search.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return lines.join('\n') + '\n';
}

/** What the C libraries read. @see resolv.conf(5) MAXNS */
const MAX_SERVERS = 3;

/** `local`: keep the servers that only the host itself can reach. */
function hostResolvConf(local: boolean): { servers: string[]; search: readonly string[]; options: string[] } {
  let text = read('/etc/resolv.conf');
  const ofNamespace = (server: string): boolean => /^(127\.|::1$|fe80:)/i.test(server);
  const serversIn = (text: string): string[] =>
    linesOf(text, 'nameserver').flatMap(([server]) => (server === undefined ? [] : [server]));
  const useless = serversIn(text).every(ofNamespace);
  if (!local && useless && serversIn(text).includes(STUB) && existsSync(RESOLVED_UPSTREAMS))
    text = read(RESOLVED_UPSTREAMS);
  return {
    servers: serversIn(text).filter((server) => local || !ofNamespace(server)),
    // the last one counts
    search: [...linesOf(text, 'domain'), ...linesOf(text, 'search')].at(-1) ?? [],
    options: linesOf(text, 'options').flat(),
  };
}

/** The words behind a keyword, a list for each line that it begins. */
function linesOf(text: string, keyword: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([first]) => first === keyword)
    .map(([, ...rest]) => rest);
}

function hosts(container: Container, endpoints: readonly Endpoint[], around: Surroundings): string {
  const shared = container.mode.kind === 'host';
  const lines = shared
    ? [MARK, read('/etc/hosts').trimEnd()]
    : [MARK, '127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  const own = endpoints.flatMap((endpoint) => endpoint.addresses.map(plain));
  for (const address of own) lines.push(`${address}\t${[...new Set([container.hostname, container.name])].join(' ')}`);
  for (const extra of container.extraHosts) {
    const colon = extra.indexOf(':');
    const target = extra.slice(colon + 1);
    const gateway = shared ? '127.0.0.1' : endpoints.flatMap((e) => e.gateways)[0];
    const address = target === 'host-gateway' ? gateway : target;
    if (address !== undefined) lines.push(`${address}\t${extra.slice(0, colon)}`);
  }
  const neighbours = around.resolvers.length > 0 ? [] : around.neighbours;
  for (const { address, names } of neighbours) lines.push(`${address}\t${names.join(' ')}`);
  return lines.join('\n') + '\n';
}

function isOurs(path: string): boolean {
  const text = read(path);
  return text === '' || text.startsWith(MARK);
}

/** In place: the file may be mounted over another, and the mount shows this inode for ever. */
function overwrite(path: string, text: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // removed meanwhile, with its container
    throw error;
  }
  try {
    // shortened at the end, so that nobody finds it empty
    ftruncateSync(fd, writeSync(fd, text, 0));
  } finally {
    closeSync(fd);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
