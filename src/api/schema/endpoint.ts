import Type from 'typebox';
import type {
  AttachSpec,
  Endpoint,
  EndpointLease,
  EndpointRoute,
  EndpointSpec,
  EndpointTuning,
  EndpointUpdate,
  FirewallWish,
  PortProtocol,
  PortSpec,
  PublishedPort,
  Rates,
  UnpublishSpec,
} from '../../model/index.ts';
import { define, type Named, STRICT, text, words } from './define.ts';

const PROTOCOL: Type.TUnsafe<PortProtocol> = words(['tcp', 'udp', 'sctp'], 'Transport protocol.');
const FIREWALL: Type.TUnsafe<FirewallWish> = words(
  ['obey', 'open'],
  "Whether it is closed to the outside where the host's own firewall refuses it; missing: as the engine is told to.",
);
const PORT = Type.Integer({ minimum: 1, maximum: 65535 });
const COUNT = Type.Integer({ minimum: 1, maximum: 65535, description: 'How many consecutive ports.' });

export const publishedPort: Named<PublishedPort> = define<PublishedPort>()(
  'PublishedPort',
  Type.Object({
    protocol: PROTOCOL,
    hostAddress: text("`0.0.0.0`, `::`, or one of the host's addresses."),
    hostPort: Type.Integer({ description: 'First host port.' }),
    containerPort: Type.Integer({ description: 'First container port.' }),
    count: Type.Integer({ description: 'How many consecutive ports.' }),
    firewall: Type.Optional(FIREWALL),
    denied: Type.Optional(
      Type.Literal(true, { description: "The host's firewall refuses it: it is closed to the outside." }),
    ),
    mode: Type.Optional(
      Type.Literal('ingress', {
        description: 'At every node. Who comes by another node than the endpoint’s is seen with that node’s address.',
      }),
    ),
  }),
);

export const portSpec: Named<PortSpec> = define<PortSpec>()(
  'PortSpec',
  Type.Object(
    {
      protocol: PROTOCOL,
      hostAddress: Type.Optional(text('Missing: every address, IPv4 and IPv6.')),
      hostPort: Type.Integer({ minimum: 0, maximum: 65535, description: '0: a free one.' }),
      hostPortEnd: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 65535, description: 'With count 1: any free port up to this one.' }),
      ),
      containerPort: PORT,
      count: COUNT,
      firewall: Type.Optional(FIREWALL),
      mode: Type.Optional(
        words(['host', 'ingress'], '`ingress`: at every node, on networks that hosts share; missing: `host`.'),
      ),
      held: Type.Optional(
        Type.Literal(true, { description: "The caller holds the host's port by a socket of its own." }),
      ),
    },
    STRICT,
  ),
);

export const rates: Named<Rates> = define<Rates>()(
  'Rates',
  Type.Object({
    ingress: Type.Number({ description: 'Towards the workload, bits per second; 0: no limit.' }),
    egress: Type.Number({ description: 'From the workload, bits per second; 0: no limit.' }),
  }),
);

export const endpointLease: Named<EndpointLease> = define<EndpointLease>()(
  'EndpointLease',
  Type.Object({
    server: text("The DHCP server's IPv4 address."),
    router: Type.Optional(text('The default gateway.')),
    routes: Type.Array(Type.Object({ dst: Type.String(), gateway: Type.Optional(Type.String()) }), {
      description: 'Other routes; without a gateway what is reached on the link itself.',
    }),
    dns: Type.Array(Type.String()),
    search: Type.Array(Type.String()),
    mtu: Type.Optional(Type.Integer({ description: "Bytes, where it is less than the segment's interface carries." })),
  }),
);

const SYSCTLS = Type.Record(Type.String(), Type.String(), {
  description: 'Parameters of its namespace, below `net.`; `IFNAME` as a part of a name stands for the interface.',
});
const TUNED = Type.Optional(Type.Boolean({ description: 'Missing: whatever it is.' }));
const U32 = { minimum: 0, maximum: 0xffff_ffff };

export const endpointRoute: Named<EndpointRoute> = define<EndpointRoute>()(
  'EndpointRoute',
  Type.Object(
    {
      dst: text('`10.9.0.0/16`'),
      gateway: Type.Optional(text("Missing: the network's; on the link where it has none, or where `scope` says so.")),
      mtu: Type.Optional(Type.Integer({ description: 'Bytes.' })),
      advmss: Type.Optional(Type.Integer()),
      priority: Type.Optional(Type.Integer({ ...U32, description: 'Lower wins.' })),
      table: Type.Optional(Type.Integer({ ...U32, description: 'Missing: the main one.' })),
      scope: Type.Optional(Type.Integer({ description: '0 universe, 253 link, 254 host; IPv4 only.' })),
    },
    STRICT,
  ),
);

export const endpointTuning: Named<EndpointTuning> = define<EndpointTuning>()(
  'EndpointTuning',
  Type.Object(
    {
      sysctls: Type.Optional(SYSCTLS),
      promisc: TUNED,
      allmulti: TUNED,
      mtu: Type.Optional(Type.Integer({ description: "Bytes, of the interface inside; missing: the network's." })),
      txQueueLength: Type.Optional(Type.Integer({ description: 'Packets that wait to be sent.' })),
      routes: Type.Optional(Type.Array(endpointRoute.ref)),
      sourceRoutes: Type.Optional(
        Type.Literal(true, { description: 'Whatever has one of its addresses as source leaves by it.' }),
      ),
      defaultRoute: Type.Optional(Type.Literal(false, { description: 'It never has the default route.' })),
      ingressBurst: Type.Optional(Type.Integer({ description: 'Bits that may go at once, where there is a rate.' })),
      egressBurst: Type.Optional(Type.Integer({ description: 'As above, from the workload.' })),
    },
    STRICT,
  ),
);

export const endpoint: Named<Endpoint> = define<Endpoint>()(
  'Endpoint',
  Type.Object({
    id: text('Unique.'),
    name: Type.Optional(text('What whoever attached it calls it.')),
    request: Type.Optional(text('As asked.')),
    network: text('Network id.'),
    container: text('Container id; empty for a bare namespace.'),
    type: words(['veth', 'tap', 'macvlan', 'ipvlan'], 'What it is inside its workload.'),
    netns: text("Path of the namespace; empty for a tap in the host's."),
    netnsId: text('Device and inode of the namespace when it was attached: `4:4026532345`.'),
    ifname: text("The interface's name inside."),
    hostIfname: text("The host's end; empty where the driver has none."),
    bridge: Type.Optional(text("The bridge that it is a port of, where that is not its network's first.")),
    handOver: Type.Optional(
      Type.Literal(true, { description: "Its inside end is born in the host's namespace for somebody else to take." }),
    ),
    tapUid: Type.Optional(Type.Integer({ description: 'The user who may open a tap; missing: CAP_NET_ADMIN may.' })),
    mac: text('`02:42:ac:12:00:02`; empty where it has none of its own.'),
    addresses: Type.Array(Type.String(), { description: 'With prefix length; IPv4 first.' }),
    lease: Type.Optional(endpointLease.ref),
    gateways: Type.Array(Type.String(), {
      description: 'Default gateways that this endpoint provides; `0.0.0.0` or `::` for the interface itself.',
    }),
    aliases: Type.Array(Type.String()),
    upstreams: Type.Optional(Type.Array(Type.String(), { description: 'Who is asked for names that are not ours.' })),
    gatewayPriority: Type.Number({ description: 'Higher wins the default route.' }),
    ports: Type.Array(publishedPort.ref),
    rates: rates.ref,
    tuning: Type.Optional(endpointTuning.ref),
    created: text('ISO 8601.'),
    phase: words(['creating', 'ready', 'removing'], 'Anything but `ready` is being worked on by `owner`.'),
    owner: text('The engine that is changing it; empty when ready.'),
  }),
);

const RATE = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const ENDPOINT_SPEC = {
  network: Type.String({ description: 'Name, id, or unique beginning of an id.', minLength: 1 }),
  addresses: Type.Optional(Type.Array(Type.String(), { description: 'Fixed addresses, without prefix length.' })),
  mac: Type.Optional(text('`02:42:ac:12:00:02`')),
  aliases: Type.Optional(Type.Array(Type.String())),
  ifname: Type.Optional(text('Missing: the first free `ethN`.')),
  gatewayPriority: Type.Optional(Type.Number({ description: 'Higher wins the default route.' })),
  ingressRate: Type.Optional(
    Type.Integer({ ...RATE, description: 'Towards the workload, bits per second; missing or 0: no limit.' }),
  ),
  egressRate: Type.Optional(
    Type.Integer({ ...RATE, description: 'From the workload, bits per second; missing or 0: no limit.' }),
  ),
};

export const endpointSpec: Named<EndpointSpec> = define<EndpointSpec>()(
  'EndpointSpec',
  Type.Object(ENDPOINT_SPEC, STRICT),
);

export const attachSpec: Named<AttachSpec> = define<AttachSpec>()(
  'AttachSpec',
  Type.Object(
    {
      ...ENDPOINT_SPEC,
      name: Type.Optional(text('What it is found by besides its id; no two on a host have the same.')),
      request: Type.Optional(
        text(
          'Which asking this is, hexadecimal: asked again with the same, it is answered with what was made. With a name.',
        ),
      ),
      netns: text("Path of the namespace; empty for a tap in the host's."),
      tap: Type.Optional(
        Type.Boolean({
          description: 'A tap device for a virtual machine, named by `ifname`, instead of an interface.',
        }),
      ),
      tapUid: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 0xfffffffe, description: 'Who may open the tap without privileges.' }),
      ),
      handOver: Type.Optional(
        Type.Boolean({
          description: "Somebody else takes the inside end from the host's namespace, where it is called `ifname`.",
        }),
      ),
      ports: Type.Optional(Type.Array(portSpec.ref)),
      upstreams: Type.Optional(
        Type.Array(Type.String(), {
          description: "Who is asked for names that are not ours; missing: the host's servers.",
        }),
      ),
      exact: Type.Optional(
        Type.Boolean({ description: '`addresses` are all that it has, several of a family among them.' }),
      ),
      tuning: Type.Optional(endpointTuning.ref),
    },
    STRICT,
  ),
);

export const unpublishSpec: Named<UnpublishSpec> = define<UnpublishSpec>()(
  'UnpublishSpec',
  Type.Object(
    {
      protocol: PROTOCOL,
      hostAddress: Type.Optional(text('On this address only; missing: on every one.')),
      hostPort: PORT,
      count: COUNT,
    },
    STRICT,
  ),
);

const ENDPOINT_UPDATE = {
  publish: Type.Optional(Type.Array(portSpec.ref, { description: 'Ports to publish.' })),
  unpublish: Type.Optional(Type.Array(unpublishSpec.ref, { description: 'Published ports to take back.' })),
  ingressRate: Type.Optional(
    Type.Integer({ ...RATE, description: 'Towards the workload, bits per second; 0: no limit; missing: as it is.' }),
  ),
  egressRate: Type.Optional(
    Type.Integer({ ...RATE, description: 'From the workload, bits per second; 0: no limit; missing: as it is.' }),
  ),
  upstreams: Type.Optional(
    Type.Array(Type.String(), { description: "Of bare namespaces: as of an attachment; empty: the host's again." }),
  ),
};

export const endpointUpdate: Named<EndpointUpdate> = define<EndpointUpdate>()(
  'EndpointUpdate',
  Type.Object(ENDPOINT_UPDATE, STRICT),
);

/** Body of `containerUpdate`. */
export type ContainerUpdate = EndpointUpdate & { readonly network?: string };
export const containerUpdate: Named<ContainerUpdate> = define<ContainerUpdate>()(
  'ContainerUpdate',
  Type.Object(
    {
      ...ENDPOINT_UPDATE,
      network: Type.Optional(
        Type.String({
          description: 'Which endpoint; missing: for ports the one that has some or could, for rates the only one.',
          minLength: 1,
        }),
      ),
    },
    STRICT,
  ),
);
