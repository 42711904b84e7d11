import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { ContainerSpec, EndpointSpec, NetworkSpec } from '../model/index.ts';
import { ComposeError, type Position, type Problem } from './errors.ts';
import { type Edge, edgesOf, inDependencyOrder } from './order.ts';
import type { ComposeFile } from './parse.ts';
import { portsClash, portText, type ServicePort } from './ports.ts';
import type { ComposeService } from './service.ts';
import type { ServiceNetwork } from './service-network.ts';

/** The labels that Docker Compose uses too, so that its users find what they know. */
export const LABEL = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  network: 'com.docker.compose.network',
  number: 'com.docker.compose.container-number',
  hash: 'com.docker.compose.config-hash',
  dependsOn: 'com.docker.compose.depends_on',
  workingDir: 'com.docker.compose.project.working_dir',
  files: 'com.docker.compose.project.config_files',
  stopSeconds: 'netloom.compose.stop-seconds',
} as const;

/** What a file asks for, in the engine's own terms: what `up` compares with what is there. */
export interface Project {
  readonly name: string;
  /** Those that the services below join. */
  readonly networks: readonly DesiredNetwork[];
  /** Dependencies first. */
  readonly services: readonly DesiredService[];
  /** Every service of the file, also those that this run leaves alone: containers of others are orphans. */
  readonly known: readonly string[];
}
export interface DesiredNetwork {
  readonly name: string;
  readonly at: Position;
  /** Undefined for a network that somebody else makes. */
  readonly spec?: NetworkSpec;
  readonly hash: string;
}
export interface DesiredService {
  readonly name: string;
  readonly at: Position;
  readonly dependsOn: readonly Edge[];
  readonly containers: readonly DesiredContainer[];
  readonly attach: boolean;
}
export interface DesiredContainer {
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly hash: string;
}

export interface ProjectOptions {
  readonly name: string;
  /** Absolute; relative folders in the file start here. */
  readonly directory: string;
  /** As given, for a label. */
  readonly files: readonly string[];
  /** These services and what they need; missing or empty: all. */
  readonly services?: readonly string[];
  readonly profiles?: readonly string[];
  /** Finished environments, by service. */
  readonly environments: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Turns a file into networks and containers, named and labelled as Docker Compose does: `PROJECT_NETWORK`,
 * `PROJECT-SERVICE-1`. Pure.
 * @throws ComposeError for a cycle, an unknown service asked for, ports of the file that clash with each other.
 */
export function buildProject(file: ComposeFile, options: ProjectOptions): Project {
  const chosen = inDependencyOrder(choose(file, options));
  const present = new Set(chosen.map((service) => service.name));
  checkPorts(chosen);
  const networks = usedNetworks(file, chosen, options);
  const byKey = new Map(networks.map(({ key, network }) => [key, network.name]));
  const names = new Map(file.services.map((service) => [service.name, containerName(service, 1, options)]));
  return {
    name: options.name,
    networks: networks.map(({ network }) => network),
    services: chosen.map((service) => {
      const dependsOn = edgesOf(service, present);
      return {
        name: service.name,
        at: service.at,
        attach: service.attach,
        dependsOn,
        containers: Array.from({ length: service.replicas }, (_, index) =>
          desiredContainer(service, index + 1, dependsOn, options, { networks: byKey, containers: names }),
        ),
      };
    }),
    known: file.services.map((service) => service.name),
  };
}

/** The folder's name as Docker Compose makes a project's name of it; empty when nothing is left. */
export function projectNameOf(directory: string): string {
  return basename(directory)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}

/** A digest of everything that makes a network or a container what it is. The order of keys does not matter. */
export function configHash(spec: NetworkSpec | ContainerSpec): string {
  return createHash('sha256').update(canonical(spec)).digest('hex');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}

/** The services of this run: those asked for or with an active profile, and everything that they need. */
function choose(file: ComposeFile, options: ProjectOptions): ComposeService[] {
  const asked = options.services ?? [];
  const byName = new Map(file.services.map((service) => [service.name, service]));
  for (const name of asked) {
    if (!byName.has(name)) {
      throw new ComposeError([
        problem(file.at, '', `there is no service ${name}`, `the file has ${[...byName.keys()].join(', ')}`),
      ]);
    }
  }
  const active = (service: ComposeService): boolean =>
    service.profiles.length === 0 ||
    service.profiles.some(
      (profile) => options.profiles?.includes(profile) === true || options.profiles?.includes('*') === true,
    );
  const wanted = new Set<string>();
  const problems: Problem[] = [];
  const want = (service: ComposeService): void => {
    if (wanted.has(service.name)) return;
    wanted.add(service.name);
    for (const dependency of service.dependsOn) {
      const other = byName.get(dependency.service);
      if (other === undefined) continue;
      if (active(other) || asked.includes(other.name)) want(other);
      else if (dependency.required) {
        const message = `${service.name} needs ${other.name}, which belongs to the profile ${other.profiles.join(', ')}`;
        problems.push(
          problem(
            dependency.at,
            `services.${service.name}.depends_on`,
            message,
            'choose that profile, or write required: false',
          ),
        );
      }
    }
    // the namespace of another service is needed whatever its profile
    if (service.mode.kind === 'service') want(byName.get(service.mode.name)!);
  };
  for (const service of file.services)
    if (asked.length === 0 ? active(service) : asked.includes(service.name)) want(service);
  if (problems.length > 0) throw new ComposeError(problems);
  return file.services.filter((service) => wanted.has(service.name));
}

function usedNetworks(
  file: ComposeFile,
  services: readonly ComposeService[],
  options: ProjectOptions,
): { key: string; network: DesiredNetwork }[] {
  const used = new Set(services.flatMap((service) => joined(service).map((network) => network.key)));
  const declared = file.networks.filter((network) => used.has(network.key));
  const implicit = used.has('default') && !declared.some((network) => network.key === 'default');
  const all = [
    ...declared,
    ...(implicit ? [{ key: 'default', at: file.at, external: false, name: '', spec: { driver: 'bridge' } }] : []),
  ];
  return all.map(({ key, at, external, name: given, spec }) => {
    const name = given === '' ? `${options.name}_${key}` : given;
    if (external) return { key, network: { name, at, hash: '' } };
    const plain: NetworkSpec = { ...spec, name };
    const hash = configHash(plain);
    const labels = { ...spec.labels, [LABEL.project]: options.name, [LABEL.network]: key, [LABEL.hash]: hash };
    return { key, network: { name, at, hash, spec: { ...plain, labels } } };
  });
}

/** The networks of the file that a service is on; the implicit one where it names none. */
function joined(service: ComposeService): readonly ServiceNetwork[] {
  if (service.mode.kind !== 'networks') return [];
  const networks = service.networks.length === 0 ? [{ key: '', aliases: [], addresses: [] }] : service.networks;
  return networks.map((network) => (network.key === '' ? { ...network, key: 'default' } : network));
}

function containerName(service: ComposeService, number: number, options: ProjectOptions): string {
  return service.containerName === '' ? `${options.name}-${service.name}-${number}` : service.containerName;
}

function desiredContainer(
  service: ComposeService,
  number: number,
  dependsOn: readonly Edge[],
  options: ProjectOptions,
  names: { readonly networks: ReadonlyMap<string, string>; readonly containers: ReadonlyMap<string, string> },
): DesiredContainer {
  const name = containerName(service, number, options);
  const { mode } = service;
  const networks =
    mode.kind === 'bridge'
      ? [endpoint(service.networks[0] ?? { key: '', aliases: [], addresses: [] }, 'bridge', [])]
      : joined(service).map((network) => endpoint(network, names.networks.get(network.key)!, [service.name]));
  const networkMode =
    mode.kind === 'none' || mode.kind === 'host'
      ? mode.kind
      : mode.kind === 'container'
        ? `container:${mode.name}`
        : mode.kind === 'service'
          ? `container:${names.containers.get(mode.name)!}`
          : undefined;
  const plain: ContainerSpec = {
    name,
    command: service.command,
    workingDir: resolve(options.directory, service.workingDir),
    env: options.environments.get(service.name) ?? {},
    ...(service.hostname === '' ? {} : { hostname: service.hostname }),
    ...(networkMode === undefined ? { networks } : { networkMode }),
    ...(service.ports.length === 0 ? {} : { ports: service.ports.map((port) => port.spec) }),
    ...(Object.keys(service.dns).length === 0 ? {} : { dns: service.dns }),
    ...(service.extraHosts.length === 0 ? {} : { extraHosts: service.extraHosts }),
    labels: service.labels,
  };
  const hash = configHash(plain);
  const labels: Record<string, string> = {
    ...service.labels,
    [LABEL.project]: options.name,
    [LABEL.service]: service.name,
    [LABEL.number]: String(number),
    [LABEL.hash]: hash,
    // as Docker writes it, so that `down` knows the order without the file
    [LABEL.dependsOn]: dependsOn
      .map(
        (edge) =>
          `${edge.service}:service_${edge.condition === 'completed' ? 'completed_successfully' : 'started'}:${edge.restart}`,
      )
      .join(','),
    [LABEL.workingDir]: options.directory,
    [LABEL.files]: options.files.join(','),
    ...(service.stopSeconds === undefined ? {} : { [LABEL.stopSeconds]: String(service.stopSeconds) }),
  };
  return { name, hash, spec: { ...plain, labels } };
}

function endpoint(network: ServiceNetwork, name: string, aliases: readonly string[]): EndpointSpec {
  const all = [...new Set([...aliases, ...network.aliases])];
  return {
    network: name,
    ...(all.length === 0 ? {} : { aliases: all }),
    ...(network.addresses.length === 0 ? {} : { addresses: network.addresses }),
    ...(network.mac === undefined ? {} : { mac: network.mac }),
    ...(network.ifname === undefined ? {} : { ifname: network.ifname }),
    ...(network.gatewayPriority === undefined ? {} : { gatewayPriority: network.gatewayPriority }),
    ...(network.ingressRate === undefined ? {} : { ingressRate: network.ingressRate }),
    ...(network.egressRate === undefined ? {} : { egressRate: network.egressRate }),
  };
}

/** Two services that publish one port would meet only after the first had started; the file shows it before. */
function checkPorts(services: readonly ComposeService[]): void {
  const problems: Problem[] = [];
  const seen: { port: ServicePort; service: string }[] = [];
  for (const service of services) {
    for (const port of service.ports) {
      for (let number = 1; number <= service.replicas; number++) {
        const other = seen.find((earlier) => portsClash(earlier.port.spec, port.spec));
        seen.push({ port, service: service.name });
        if (other === undefined) continue;
        const by =
          other.port === port
            ? `another container of ${service.name}`
            : `${other.service} (line ${other.port.at.line})`;
        const cure =
          other.port === port ? 'give a range of host ports, one for each container' : 'choose another host port';
        problems.push(problem(port.at, port.path, `${portText(port.spec)} is published by ${by} as well`, cure));
        break;
      }
    }
  }
  if (problems.length > 0) throw new ComposeError(problems);
}

function problem(at: Position, path: string, message: string, cure: string): Problem {
  return { at, path, message, cure };
}
