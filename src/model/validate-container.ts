import { parseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { Container, ContainerSpec, DnsSettings, NetworkMode } from './container.ts';
import { checkHostname, checkName, isDomain, within } from './names.ts';
import { checkPorts } from './publish.ts';
import { shortId } from './refs.ts';
import { parseEndpointSpecs, parseUpstreams } from './validate-endpoint.ts';

/** A container's parts that follow from its spec alone. */
export type ContainerParts = Omit<Container, 'id' | 'created' | 'netns' | 'phase' | 'owner'>;
export interface ContainerContext {
  /** The new container's id: its beginning is the hostname where the spec has none. */
  readonly id: string;
  /** The name where the spec has none. */
  readonly name: string;
}

/**
 * Checks everything about a wanted container that needs no kernel and no other object.
 * @throws NetloomError EBADNAME, EBADHOSTNAME, EBADCOMMAND, EBADPOD, EBADENV, EBADMODE, EBADDNS, EBADHOST, EBADPATH, and what
 *   endpoints and ports throw
 */
export function parseContainerSpec(spec: ContainerSpec, context: ContainerContext): ContainerParts {
  const name = checkName('container', spec.name ?? context.name);
  return within(`container ${name}`, () => {
    const mode = parseNetworkMode(spec.networkMode ?? '');
    checkModeConflicts(spec, mode);
    const asked = typeof mode === 'string' ? [{ network: mode }] : (spec.networks ?? []);
    const inNetworks = typeof mode === 'string' || mode.kind === 'networks';
    return {
      name,
      mode: typeof mode === 'string' ? { kind: 'networks' } : mode,
      hostname:
        spec.hostname === undefined || spec.hostname === '' ? shortId(context.id) : checkHostname(spec.hostname),
      command: spec.pod === true ? checkPod(spec, mode) : checkCommand(spec.command),
      ...(spec.pod === true && { pod: true as const }),
      env: checkEnv(spec.env ?? {}),
      workingDir: checkPath(spec.workingDir ?? ''),
      dns: parseDns(spec.dns ?? {}),
      extraHosts: (spec.extraHosts ?? []).map(parseExtraHost),
      labels: { ...spec.labels },
      autoRemove: spec.autoRemove ?? false,
      networks: parseEndpointSpecs(inNetworks && asked.length === 0 ? [{ network: 'bridge' }] : asked),
      ports: checkPorts(spec.ports ?? []),
    };
  });
}

/** A mode, or the name of the one network that stands in its place. @throws NetloomError EBADMODE */
export function parseNetworkMode(text: string): NetworkMode | string {
  switch (text) {
    case '':
      return { kind: 'networks' };
    case 'default':
      return 'bridge';
    case 'host':
    case 'none':
      return { kind: text };
  }
  if (text.startsWith('container:')) {
    const container = text.slice('container:'.length);
    if (container === '')
      throw new NetloomError('EBADMODE', 'network mode "container:" names no container: write container:NAME');
    return { kind: 'container', container };
  }
  if (text.includes(':'))
    throw new NetloomError(
      'EBADMODE',
      `there is no network mode "${text}": write none, host, container:NAME or a network’s name`,
    );
  return text;
}

/** Checks and completes DNS settings. @throws NetloomError EBADDNS */
export function parseDns(dns: Partial<DnsSettings>): DnsSettings {
  return {
    servers: parseUpstreams(dns.servers ?? []),
    search: (dns.search ?? []).map((text) => {
      const domain = text.endsWith('.') && text.length > 1 ? text.slice(0, -1) : text;
      if (domain !== '.' && !isDomain(domain))
        throw new NetloomError('EBADDNS', `"${text}" is no domain to search in: write one such as example.org`);
      return domain;
    }),
    options: (dns.options ?? []).map((text) => {
      if (!/^[a-z][a-z0-9-]*(:\d+)?$/.test(text))
        throw new NetloomError(
          'EBADDNS',
          `"${text}" is no resolver option: write one of resolv.conf(5), such as ndots:2`,
        );
      return text;
    }),
  };
}

/** `name:address` or `name=address`, the address perhaps in brackets, or `host-gateway`. @throws NetloomError EBADHOST */
export function parseExtraHost(text: string): string {
  const at = text.search(/[:=]/);
  const name = at < 0 ? text : text.slice(0, at);
  const written = at < 0 ? '' : text.slice(at + 1);
  if (at < 0 || written === '')
    throw new NetloomError('EBADHOST', `extra host "${text}": write name:address, or name:host-gateway`);
  if (!/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?$/.test(name))
    throw new NetloomError('EBADHOST', `extra host "${text}": "${name}" is no host name`);
  if (written === 'host-gateway') return `${name}:host-gateway`;
  const bare = /^\[(.*)\]$/.exec(written)?.[1] ?? written;
  return `${name}:${within(`extra host "${text}"`, () => parseIp(bare)).text}`;
}

function checkModeConflicts(spec: ContainerSpec, mode: NetworkMode | string): void {
  const networks = spec.networks ?? [];
  if (typeof mode !== 'string' && mode.kind === 'networks') {
    for (const { network } of networks) {
      if (network === 'host' || network === 'none' || network.startsWith('container:')) {
        throw new NetloomError('EBADMODE', `"${network}" is a network mode: it stands alone, in place of networks`);
      }
    }
    return;
  }
  const shown = spec.networkMode!;
  const refuse = (what: string, why: string): never => {
    throw new NetloomError('EBADMODE', `network mode "${shown}" and ${what} exclude each other: ${why}`);
  };
  if (networks.length > 0) refuse(`the network ${networks[0]!.network}`, 'give one or the other');
  if (typeof mode === 'string') return;
  const ports = spec.ports?.length ?? 0;
  if (ports > 0) {
    if (mode.kind === 'host') refuse('published ports', 'every port is the host’s own already');
    if (mode.kind === 'none') refuse('published ports', 'there is no network to publish from');
    if (mode.kind === 'container') refuse('published ports', 'publish them on that container');
  }
  if (mode.kind !== 'container') return;
  if (spec.hostname !== undefined && spec.hostname !== '') refuse('a hostname', 'it is that container’s');
  if (Object.values(spec.dns ?? {}).some((list) => list.length > 0))
    refuse('DNS settings', 'they are that container’s');
  if ((spec.extraHosts?.length ?? 0) > 0) refuse('extra hosts', 'they are that container’s');
}

/** A pod has what a container has but for its process. @returns no command */
function checkPod(spec: ContainerSpec, mode: NetworkMode | string): readonly string[] {
  const refuse = (what: string, cure: string): never => {
    throw new NetloomError('EBADPOD', `a pod ${what}`, { hint: cure });
  };
  if (spec.command.length > 0)
    refuse('runs no command of its own', 'run it in the pod: netloom run --pod NAME COMMAND');
  if (spec.autoRemove === true) refuse('has no end at which it could be removed', 'netloom pod rm removes it');
  if (typeof mode !== 'string' && mode.kind === 'container')
    refuse('has a namespace of its own', 'run its containers in that one instead');
  return [];
}

function checkCommand(command: readonly string[]): readonly string[] {
  if (!Array.isArray(command) || command.length === 0 || command[0] === '') {
    throw new NetloomError('EBADCOMMAND', 'there is no command: write the one to run');
  }
  for (const word of command) {
    if (typeof word !== 'string' || word.includes('\0'))
      throw new NetloomError('EBADCOMMAND', 'the command has a word with a zero byte: leave it out');
  }
  return [...command];
}

function checkEnv(env: Readonly<Record<string, string>>): Record<string, string> {
  for (const [key, value] of Object.entries(env)) {
    if (key === '' || /[=\0]/.test(key) || value.includes('\0')) {
      throw new NetloomError(
        'EBADENV',
        `"${key}" cannot be set in the environment: a name is not empty and has no "="`,
      );
    }
  }
  return { ...env };
}

function checkPath(path: string): string {
  if (path !== '' && !/^\/[^\0]*$/.test(path))
    throw new NetloomError('EBADPATH', `working directory "${path}": write a whole path that begins with /`);
  return path;
}
