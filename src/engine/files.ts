import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Container, Endpoint } from '../model/index.ts';
import type { Paths } from './paths.ts';

/** systemd-resolved's stub, which no container can reach, and the file that has the servers behind it. */
const STUB = '127.0.0.53';
const RESOLVED_UPSTREAMS = '/run/systemd/resolve/resolv.conf';

/** A neighbour on one of a container's networks, by every name it answers to. */
export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

/** `/etc/netns/NAME`: what `ip netns exec`, and our own shim, mount over /etc. @see ip-netns(8) */
export function etcDir(paths: Paths, container: Container): string {
  return join(paths.etcNetnsDir, container.netns === '' ? container.name : basename(container.netns));
}

/** The container's own directory: pid, exit status, log. */
export function runDirOf(paths: Paths, container: Container): string {
  return join(paths.runDir, 'containers', container.id);
}

export function writeEtc(paths: Paths, container: Container, endpoints: readonly Endpoint[], neighbours: readonly HostsEntry[]): void {
  const dir = etcDir(paths, container);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  overwrite(join(dir, 'resolv.conf'), resolvConf(container));
  overwrite(join(dir, 'hosts'), hosts(container, endpoints, neighbours));
  overwrite(join(dir, 'hostname'), `${container.hostname}\n`);
}

export function removeEtc(paths: Paths, container: Container): void {
  const dir = etcDir(paths, container);
  for (const name of ['resolv.conf', 'hosts', 'hostname']) rmSync(join(dir, name), { force: true });
  // someone may have put files of their own beside ours
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir);
}

function resolvConf(container: Container): string {
  const { dns } = container;
  const host = hostResolvConf();
  const servers = dns.servers.length > 0 ? dns.servers : host.servers;
  const search = dns.search.length > 0 ? dns.search : host.search;
  const lines = servers.map((server) => `nameserver ${server}`);
  if (search.length > 0 && search[0] !== '.') lines.push(`search ${search.join(' ')}`);
  const options = dns.options.length > 0 ? dns.options : host.options;
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return lines.join('\n') + '\n';
}

/** The host's servers, without those that only the host itself can reach. @see resolv.conf(5) */
function hostResolvConf(): { servers: string[]; search: string[]; options: string[] } {
  let text = read('/etc/resolv.conf');
  if (text.includes(STUB) && existsSync(RESOLVED_UPSTREAMS)) text = read(RESOLVED_UPSTREAMS);
  const words = (keyword: string): string[] =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === keyword)
      .flatMap(([, ...rest]) => rest);
  return {
    servers: words('nameserver').filter((server) => !server.startsWith('127.') && server !== '::1'),
    search: words('search'),
    options: words('options'),
  };
}

function hosts(container: Container, endpoints: readonly Endpoint[], neighbours: readonly HostsEntry[]): string {
  const lines = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  const own = endpoints.flatMap((endpoint) => endpoint.addresses.map(plain));
  for (const address of own) lines.push(`${address}\t${[...new Set([container.hostname, container.name])].join(' ')}`);
  for (const extra of container.extraHosts) {
    const colon = extra.indexOf(':');
    const target = extra.slice(colon + 1);
    const gateway = endpoints.flatMap((e) => e.gateways)[0];
    const address = target === 'host-gateway' ? gateway : target;
    if (address !== undefined) lines.push(`${address}\t${extra.slice(0, colon)}`);
  }
  for (const { address, names } of neighbours) lines.push(`${address}\t${names.join(' ')}`);
  return lines.join('\n') + '\n';
}

/** In place: the file may be mounted over another, and the mount shows this inode for ever. */
function overwrite(path: string, text: string): void {
  if (read(path) !== text) writeFileSync(path, text, { mode: 0o644 });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** `172.18.0.2/16` → `172.18.0.2` */
export function plain(address: string): string {
  return address.slice(0, address.indexOf('/'));
}
