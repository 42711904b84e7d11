import type {
  ContainerDetail,
  Endpoint,
  Network,
  NetworkDetail,
  NetworkPeer,
  Overlay,
  PortSpec,
  PublishedPort,
} from '../../model/index.ts';
import { ago, humanDuration } from './duration.ts';
import { rateText } from '../parse/rate.ts';
import { cut } from './table.ts';

/**
 * The same objects under Docker's field names: what `inspect` prints and what `--format` reads. `--json` prints the
 * API's own records instead (docs/cli.md says so).
 */
export type View = Readonly<Record<string, unknown>>;

export interface Look {
  readonly noTrunc: boolean;
  readonly now: number;
  /** Network id → name. */
  readonly networkNames: ReadonlyMap<string, string>;
}

export function shortId(id: string, look: { readonly noTrunc: boolean }): string {
  return look.noTrunc ? id : id.slice(0, 12);
}

export function networkRow(network: Network, look: Look): View {
  return {
    ID: shortId(network.id, look),
    Name: network.name,
    Driver: network.driver,
    Scope: scope(network),
    Subnets: network.subnets.map((each) => each.subnet).join(', '),
    IPv4: network.subnets.some((each) => !each.subnet.includes(':')),
    IPv6: network.subnets.some((each) => each.subnet.includes(':')),
    Internal: network.internal,
    Labels: labels(network.labels),
    CreatedAt: network.created,
    RunningFor: ago(network.created, look.now),
  };
}

/** Docker's word for what hosts share. */
function scope({ driver }: Network): 'global' | 'local' {
  return driver === 'overlay' ? 'global' : 'local';
}

export function networkInspect(network: NetworkDetail, containerNames: ReadonlyMap<string, string>): View {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: scope(network),
    Driver: network.driver,
    EnableIPv4: network.subnets.some((each) => !each.subnet.includes(':')),
    EnableIPv6: network.subnets.some((each) => each.subnet.includes(':')),
    IPAM: {
      Driver: network.ipam === 'dhcp' ? 'dhcp' : 'default',
      Config: network.subnets.map((each) => ({
        Subnet: each.subnet,
        ...(each.gateway === '' ? {} : { Gateway: each.gateway }),
        ...(each.ipRange === undefined ? {} : { IPRange: each.ipRange }),
        ...(each.auxAddresses === undefined ? {} : { AuxiliaryAddresses: each.auxAddresses }),
      })),
    },
    Internal: network.internal,
    Containers: Object.fromEntries(
      network.endpoints.map((endpoint) => [
        endpoint.container === '' ? endpoint.id : endpoint.container,
        {
          Name: containerNames.get(endpoint.container) ?? endpoint.netns,
          EndpointID: endpoint.id,
          MacAddress: endpoint.mac,
          IPv4Address: endpoint.addresses.find((each) => !each.includes(':')) ?? '',
          IPv6Address: endpoint.addresses.find((each) => each.includes(':')) ?? '',
        },
      ]),
    ),
    Options: {
      ...(network.overlay && overlayOptions(network.overlay)),
      ...Object.fromEntries(
        Object.entries(network.options).flatMap(([key, value]) => (key === 'driver' ? [] : [[key, String(value)]])),
      ),
    },
    Labels: network.labels,
    ...(network.overlay && { Peers: peers(network.overlay, network.peers) }),
  };
}

function overlayOptions(overlay: Overlay): View {
  const { plan, backend, ranges, vni, port, directRouting, shortcut, tracked, bgp, rekey, flannel, self } = overlay;
  return {
    ...(flannel && { flannel: flannel.etcd.join(','), prefix: flannel.prefix }),
    plan,
    backend,
    ranges: ranges.join(','),
    vni: String(vni),
    port: String(port),
    directRouting: String(directRouting),
    shortcut: shortcutWords(shortcut, self.noShortcut),
    ...trackedOf(tracked, self.whyTracked),
    ...(bgp && {
      asn: String(bgp.asn),
      neighbors: bgp.neighbors
        .map(({ address, asn }) => (address.includes(':') ? `[${address}]:${asn}` : `${address}:${asn}`))
        .join(','),
      passwordFile: bgp.passwordFile,
      holdTime: String(bgp.holdTime),
      restartTime: String(bgp.restartTime),
    }),
    ...(self.publicKey !== undefined && { publicKey: self.publicKey }),
    ...(self.rekeyed !== undefined && { rekeyed: self.rekeyed }),
    ...(rekey !== undefined && { rekey: `${rekey}s` }),
  };
}

/** Whether connections go past the rule sets of hosts, and why not here. */
function shortcutWords(shortcut: false | undefined, noShortcut = 'not asked yet'): string {
  if (shortcut === false) return 'false';
  return noShortcut === '' ? 'true' : `false here: ${noShortcut}`;
}

/** Whether connection tracking notes what tunnels put around packets, and why here; nothing where they put nothing. */
function trackedOf(tracked: true | undefined, whyTracked: string | undefined): View {
  if (tracked === true) return { tracked: 'true' };
  if (whyTracked === undefined) return {};
  return { tracked: whyTracked === '' ? 'false' : `true here: ${whyTracked}` };
}

/** As of Docker's overlay networks: every node that has the network, this one, too. */
function peers({ plan, self }: Overlay, others: readonly NetworkPeer[] = []): View[] {
  return [self, ...others]
    .toSorted((a, b) => (a.node < b.node ? -1 : 1))
    .map(({ node, addresses, prefixes, backend }) => ({
      Name: node,
      IP: addresses[0] ?? '',
      // in the other plan they are many, and say nothing of where an address is
      ...(plan === 'node' && { Prefixes: prefixes.join(',') }),
      Backend: backend,
    }));
}

export function containerRow(container: ContainerDetail, look: Look): View {
  const command = container.command.join(' ');
  return {
    ID: shortId(container.id, look),
    Names: container.name,
    Command: quote(look.noTrunc ? command : cut(command, 20)),
    CreatedAt: container.created,
    RunningFor: ago(container.created, look.now),
    Status: status(container, look.now),
    State: container.state.status,
    Ports: container.endpoints.flatMap((each) => each.ports.map(publishedText)).join(', '),
    Networks: networksOf(container, look.networkNames).join(','),
    Labels: labels(container.labels),
  };
}

/** `Up 5 minutes`, `Exited (0) 2 hours ago`, `Created`. */
export function status(container: ContainerDetail, now: number): string {
  const { state } = container;
  if (state.status === 'running') return `Up ${humanDuration(Math.max(0, now - Date.parse(state.startedAt)))}`;
  if (state.status === 'exited') return `Exited (${state.exitCode}) ${ago(state.finishedAt, now)}`.trimEnd();
  return state.status === 'created' ? 'Created' : 'Dead';
}

function networksOf(container: ContainerDetail, names: ReadonlyMap<string, string>): string[] {
  const { mode } = container;
  if (mode.kind === 'container') return [`container:${mode.container}`];
  if (mode.kind !== 'networks') return [mode.kind];
  if (container.endpoints.length > 0)
    return container.endpoints.map((each) => names.get(each.network) ?? each.network.slice(0, 12));
  return container.networks.map((each) => names.get(each.network) ?? each.network);
}

/** `0.0.0.0:8888->80/tcp`, `[::]:8000-8009->80-89/udp (denied)`: the host's firewall keeps it from the outside. */
export function publishedText(port: PublishedPort): string {
  return `${bracket(port.hostAddress)}:${range(port.hostPort, port.count)}->${range(port.containerPort, port.count)}/${port.protocol}${port.denied === true ? ' (denied)' : ''}${port.mode === 'ingress' ? ' (every node)' : ''}`;
}

export function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

function range(first: number, count: number): string {
  return count > 1 ? `${first}-${first + count - 1}` : String(first);
}

export function containerInspect(container: ContainerDetail, names: ReadonlyMap<string, string>): View {
  const [file = '', ...args] = container.command;
  const { state, mode } = container;
  const networkMode =
    mode.kind === 'container'
      ? `container:${mode.container}`
      : mode.kind === 'networks'
        ? (networksOf(container, names)[0] ?? 'bridge')
        : mode.kind;
  return {
    Id: container.id,
    Created: container.created,
    Path: file,
    Args: args,
    State: {
      Status: state.status,
      Running: state.status === 'running',
      Dead: state.status === 'dead',
      Pid: state.pid,
      ExitCode: state.exitCode,
      StartedAt: state.startedAt,
      FinishedAt: state.finishedAt,
    },
    Name: container.name,
    HostConfig: {
      NetworkMode: networkMode,
      AutoRemove: container.autoRemove,
      PortBindings: bindings(container.ports),
      Dns: container.dns.servers,
      DnsSearch: container.dns.search,
      DnsOptions: container.dns.options,
      ExtraHosts: container.extraHosts,
    },
    Config: {
      Hostname: container.hostname,
      Env: Object.entries(container.env).map(([name, value]) => `${name}=${value}`),
      Cmd: container.command,
      WorkingDir: container.workingDir,
      Labels: container.labels,
    },
    NetworkSettings: {
      SandboxKey: container.netns,
      Ports: publishedMap(container.endpoints),
      Networks: Object.fromEntries(
        container.endpoints.map((each) => [names.get(each.network) ?? each.network, endpointSettings(each)]),
      ),
    },
  };
}

function endpointSettings(endpoint: Endpoint): View {
  const [v4 = '', v4Length = '0'] = (endpoint.addresses.find((each) => !each.includes(':')) ?? '').split('/');
  const [v6 = '', v6Length = '0'] = (endpoint.addresses.find((each) => each.includes(':')) ?? '').split('/');
  return {
    Aliases: endpoint.aliases,
    MacAddress: endpoint.mac,
    GwPriority: endpoint.gatewayPriority,
    NetworkID: endpoint.network,
    EndpointID: endpoint.id,
    Gateway: endpoint.gateways.find((each) => !each.includes(':')) ?? '',
    IPAddress: v4,
    IPPrefixLen: Number(v4Length),
    IPv6Gateway: endpoint.gateways.find((each) => each.includes(':')) ?? '',
    GlobalIPv6Address: v6,
    GlobalIPv6PrefixLen: Number(v6Length),
    InterfaceName: endpoint.ifname,
    HostInterfaceName: endpoint.hostIfname,
    IngressRate: rateText(endpoint.rates.ingress),
    EgressRate: rateText(endpoint.rates.egress),
  };
}

function publishedMap(endpoints: readonly Endpoint[]): View {
  const out: Record<string, { HostIp: string; HostPort: string; Denied?: true }[]> = {};
  for (const port of endpoints.flatMap((each) => each.ports)) {
    for (let index = 0; index < port.count; index++) {
      const key = `${port.containerPort + index}/${port.protocol}`;
      (out[key] ??= []).push({
        HostIp: port.hostAddress,
        HostPort: String(port.hostPort + index),
        ...(port.denied && { Denied: true }),
      });
    }
  }
  return out;
}

function bindings(ports: readonly PortSpec[]): View {
  const out: Record<string, { HostIp: string; HostPort: string; Firewall?: string }[]> = {};
  for (const port of ports) {
    for (let index = 0; index < port.count; index++) {
      const host =
        port.hostPort === 0
          ? ''
          : port.hostPortEnd === undefined
            ? String(port.hostPort + index)
            : `${port.hostPort}-${port.hostPortEnd}`;
      (out[`${port.containerPort + index}/${port.protocol}`] ??= []).push({
        HostIp: port.hostAddress ?? '',
        HostPort: host,
        ...(port.firewall !== undefined && { Firewall: port.firewall }),
      });
    }
  }
  return out;
}

export function endpointRow(endpoint: Endpoint, look: Look, containerNames: ReadonlyMap<string, string>): View {
  return {
    ID: shortId(endpoint.id, look),
    Network: look.networkNames.get(endpoint.network) ?? shortId(endpoint.network, look),
    Container: containerNames.get(endpoint.container) ?? shortId(endpoint.container, look),
    Namespace: endpoint.netns,
    Interface: endpoint.ifname,
    HostInterface: endpoint.hostIfname,
    MacAddress: endpoint.mac,
    Addresses: endpoint.addresses.join(', '),
    Gateways: endpoint.gateways.join(', '),
    Ports: endpoint.ports.map(publishedText).join(', '),
    Type: endpoint.type,
    IngressRate: rateText(endpoint.rates.ingress),
    EgressRate: rateText(endpoint.rates.egress),
    CreatedAt: endpoint.created,
  };
}

function labels(all: Readonly<Record<string, string>>): string {
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"')}"`;
}
