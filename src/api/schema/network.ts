import Type from 'typebox';
import type {
  GatewayMode,
  Ipam,
  Network,
  NetworkDetail,
  NetworkOptions,
  NetworkSpec,
  NetworkUpdate,
  Overlay,
  Subnet,
  SubnetSpec,
} from '../../model/index.ts';
import { endpoint } from './endpoint.ts';
import { define, type Named, STRICT, stringMap, text, words } from './define.ts';
import { BACKENDS, PLANS } from './overlay-words.ts';

const PHASE = words(['creating', 'ready', 'removing'], 'Anything but `ready` is being worked on by `owner`.');

export const subnet: Named<Subnet> = define<Subnet>()(
  'Subnet',
  Type.Object({
    subnet: text('`172.18.0.0/16`'),
    gateway: text("The network's own address; empty for none."),
    ipRange: Type.Optional(text('Automatic addresses come from this part only.')),
    auxAddresses: Type.Optional(stringMap('Names and addresses that are never handed out.')),
  }),
);

const GATEWAY_MODE: Type.TOptional<Type.TUnsafe<GatewayMode>> = Type.Optional(
  words(['nat', 'nat-unprotected', 'routed', 'isolated'], 'How it meets the outside; missing: `nat`.'),
);
const PARENT = {
  parent: text("The host's interface below; empty: one of the network's own, which leads nowhere."),
  vlan: Type.Integer({ description: 'Its VLAN of which an interface is made; 0: none.' }),
  mtu: Type.Integer({ description: "Bytes; 0: the parent's." }),
};

export const networkOptions: Named<NetworkOptions> = define<NetworkOptions>()(
  'NetworkOptions',
  Type.Union([
    Type.Object({
      driver: Type.Literal('bridge'),
      bridge: text("The bridge's interface name."),
      mtu: Type.Integer({ description: 'Bytes.' }),
      followsUplink: Type.Optional(Type.Literal(true, { description: 'No MTU was asked for: it follows the uplink.' })),
      icc: Type.Boolean({ description: 'Endpoints may talk to each other.' }),
      masquerade: Type.Boolean({ description: "Outward traffic takes the host's address." }),
      hairpin: Type.Boolean({ description: 'Frames may leave by the port they came from.' }),
      hostBinding: text('Address of published ports that name none.'),
      guard: Type.Optional(
        Type.Boolean({
          description: 'Endpoints can only send as themselves: no other MAC, IP, ARP or ND. Default true.',
        }),
      ),
      fairPorts: Type.Optional(
        Type.Boolean({
          description:
            'An endpoint that holds thousands of connections to the outside leaves half of the ports that the host has for translated connections to others. Default true.',
        }),
      ),
      gatewayMode4: GATEWAY_MODE,
      gatewayMode6: GATEWAY_MODE,
      shards: Type.Optional(Type.Array(Type.String(), { description: 'Further bridges, joined to the first.' })),
    }),
    Type.Object({
      driver: Type.Literal('macvlan'),
      ...PARENT,
      mode: words(['private', 'vepa', 'bridge', 'passthru', 'source'], 'ip-link(8), macvlan.'),
      sources: Type.Array(Type.String(), { description: 'Mode source: hardware addresses whose frames come in.' }),
      shim: Type.Array(Type.String(), { description: 'Addresses of the host on the segment; empty: none.' }),
    }),
    Type.Object({
      driver: Type.Literal('ipvlan'),
      ...PARENT,
      mode: words(['l2', 'l3', 'l3s'], 'ip-link(8), ipvlan.'),
      flag: words(['bridge', 'private', 'vepa'], 'Who reaches whom on the same parent.'),
    }),
    Type.Object({ driver: Type.Literal('host') }),
    Type.Object({ driver: Type.Literal('none') }),
  ]),
);

const PEER = {
  node: text("The host's name."),
  addresses: Type.Array(Type.String(), { description: 'Where it is on the underlay, one a family at most.' }),
  prefixes: Type.Array(Type.String(), { description: 'Its own prefixes, one a family; none in the plan `flat`.' }),
  hostAddresses: Type.Optional(
    Type.Array(Type.String(), { description: 'Plan `flat`: what the host itself speaks from, one a family.' }),
  ),
  backend: words(BACKENDS, 'What it is reached by.'),
  mac: text('Hardware address of its end of a tunnel that has one.'),
  publicKey: Type.Optional(text('Of backends that encrypt; base64.')),
  epochs: Type.Optional(
    Type.Array(Type.String(), { description: 'ipsec: what its keys change with; the first is sent by.' }),
  ),
  rekeyed: Type.Optional(text('When it last began to change its keys; ISO 8601.')),
  direct: Type.Boolean({ description: 'On our own segment.' }),
  bgp: Type.Optional(
    Type.Object(
      {
        asn: Type.Integer({ description: 'Its AS.' }),
        mesh: Type.Boolean({ description: 'It speaks with the other nodes, and not with routers.' }),
      },
      { description: 'Of the backend bgp.' },
    ),
  ),
  ways: Type.Optional(
    Type.Array(
      Type.Object({
        prefix: text("One of the node's."),
        via: text('Gateway.'),
        dev: text('Interface.'),
        from: text('The BGP neighbor that told.'),
      }),
      { description: 'What was learned of the ways to it.' },
    ),
  ),
};

export const overlay: Named<Overlay> = define<Overlay>()(
  'Overlay',
  Type.Object({
    plan: words(PLANS, '`node`: each host has a prefix of its own; `flat`: any address on any host.'),
    backend: words(BACKENDS, 'How packets go from host to host.'),
    ranges: Type.Array(Type.String(), { description: "All of the network's addresses, one range a family." }),
    vni: Type.Integer({ description: 'Tells one network from another on the wire.' }),
    port: Type.Integer({ description: "The tunnel's UDP port; 0 where it has none." }),
    directRouting: Type.Boolean({ description: 'Hosts on our own segment are reached without a tunnel.' }),
    shortcut: Type.Optional(
      Type.Literal(false, { description: 'Connections go the whole way through every rule set.' }),
    ),
    tracked: Type.Optional(
      Type.Literal(true, { description: 'What tunnels put around packets goes through connection tracking.' }),
    ),
    former: Type.Optional(
      Type.Object(
        {
          backend: words(BACKENDS, 'Its name.'),
          port: Type.Integer({ description: 'Its port; 0 where it has none.' }),
        },
        { description: 'Where the backend is being changed: the one that some hosts are still reached by.' },
      ),
    ),
    bgp: Type.Optional(
      Type.Object(
        {
          asn: Type.Integer({ description: "This node's AS." }),
          neighbors: Type.Array(
            Type.Object({ address: text('Of a router.'), asn: Type.Integer({ description: 'Its AS.' }) }),
            {
              description: 'Routers that this node speaks with; none: it speaks with the other nodes.',
            },
          ),
          passwordFile: text('On each node; its first line signs every segment. Empty: none does.'),
          holdTime: Type.Integer({
            description: 'Seconds without a word after which a neighbor is given up; 0: never.',
          }),
          restartTime: Type.Integer({
            description: 'Seconds for which neighbors keep what a node without daemon told.',
          }),
        },
        { description: 'Of the backend bgp.' },
      ),
    ),
    rekey: Type.Optional(
      Type.Integer({ description: 'Seconds after which each host changes its keys by itself; 0 or missing: never.' }),
    ),
    flannel: Type.Optional(
      Type.Object(
        {
          etcd: Type.Array(Type.String(), { description: 'URLs of etcd that flannel uses.' }),
          prefix: text('Before its keys.'),
          caFile: Type.Optional(text('PEM file: who signed etcd’s certificate.')),
          certFile: Type.Optional(text('PEM file: this host’s certificate.')),
          keyFile: Type.Optional(text('PEM file: its key.')),
          username: Type.Optional(text('User of etcd.')),
          passwordFile: Type.Optional(text('Its first line is the password.')),
          addresses: Type.Optional(
            Type.Array(Type.String(), { description: 'Where the others reach this host, as it was asked.' }),
          ),
        },
        { description: 'The network is flannel’s: who is in it, its keys in etcd tell.' },
      ),
    ),
    self: Type.Object({
      ...PEER,
      dev: text("The underlay's interface."),
      mtu: Type.Integer({ description: "The underlay's; bytes." }),
      noShortcut: Type.Optional(
        text('Why connections go the whole way through every rule set here; empty where they need not.'),
      ),
      whyTracked: Type.Optional(
        text('Why what tunnels put around packets is tracked here all the same; empty where it is not.'),
      ),
      keyFile: Type.Optional(text('Where its private key is, of backends that encrypt.')),
      coming: Type.Optional(text('ipsec: the one of its epochs that is coming in, while they change.')),
    }),
  }),
);

const UPSTREAMS =
  "DNS servers that are asked for names that are not ours, by those that have none of their own; missing: the host's.";
const IPAM: readonly Ipam[] = ['pool', 'dhcp'];
const NETWORK = {
  id: text('64 hexadecimal digits.'),
  name: text('Unique.'),
  driver: words(['bridge', 'overlay', 'macvlan', 'ipvlan', 'host', 'none'], 'Which driver makes it.'),
  created: text('ISO 8601.'),
  internal: Type.Boolean({ description: 'No way outward or inward.' }),
  subnets: Type.Array(subnet.ref),
  ipam: Type.Optional(words(IPAM, 'Who gives an endpoint its addresses; missing: `pool`.')),
  resolverPorts: Type.Optional(
    Type.Record(Type.String(), Type.Integer(), {
      description:
        'Gateways of which another program holds port 53, and the port at which names are answered there instead.',
    }),
  ),
  options: networkOptions.ref,
  overlay: Type.Optional(overlay.ref),
  upstreams: Type.Optional(Type.Array(Type.String(), { description: UPSTREAMS })),
  labels: stringMap('Words of the user.'),
  phase: PHASE,
  owner: text('The engine that is changing it; empty when ready.'),
};

export const network: Named<Network> = define<Network>()('Network', Type.Object(NETWORK));

export const networkDetail: Named<NetworkDetail> = define<NetworkDetail>()(
  'NetworkDetail',
  Type.Object({
    ...NETWORK,
    endpoints: Type.Array(endpoint.ref),
    peers: Type.Optional(
      Type.Array(
        Type.Object({
          node: PEER.node,
          addresses: PEER.addresses,
          prefixes: PEER.prefixes,
          backend: PEER.backend,
          direct: PEER.direct,
        }),
        { description: 'Of a network that hosts share: the others that have it, as this one knows them.' },
      ),
    ),
  }),
);

export const subnetSpec: Named<SubnetSpec> = define<SubnetSpec>()(
  'SubnetSpec',
  Type.Object(
    {
      subnet: Type.Optional(text('`172.18.0.0/16`; missing: from the pools.')),
      gateway: Type.Optional(text('Inside the subnet; missing: its first address.')),
      ipRange: Type.Optional(text('Automatic addresses come from this part only.')),
      auxAddresses: Type.Optional(stringMap('Names and addresses that are never handed out.')),
    },
    STRICT,
  ),
);

export const networkSpec: Named<NetworkSpec> = define<NetworkSpec>()(
  'NetworkSpec',
  Type.Object(
    {
      name: Type.String({ description: 'Unique.', minLength: 1 }),
      driver: Type.Optional(text('Default: `bridge`.')),
      internal: Type.Optional(Type.Boolean({ description: 'Default: false.' })),
      ipv4: Type.Optional(Type.Boolean({ description: 'Default: true.' })),
      ipv6: Type.Optional(Type.Boolean({ description: 'Default: false, or true where a subnet given is IPv6.' })),
      subnets: Type.Optional(Type.Array(subnetSpec.ref, { description: 'Missing or empty: from the pools.' })),
      ipam: Type.Optional(text('`pool` or `dhcp`; default: `pool`, or what the option `ipam` says.')),
      options: Type.Optional(stringMap("The driver's options, as `-o`.")),
      upstreams: Type.Optional(Type.Array(Type.String(), { description: UPSTREAMS })),
      labels: Type.Optional(stringMap('Words of the user.')),
    },
    STRICT,
  ),
);

export const networkUpdate: Named<NetworkUpdate> = define<NetworkUpdate>()(
  'NetworkUpdate',
  Type.Object(
    {
      options: Type.Optional(stringMap("The driver's options, as `-o`; those left out stay.")),
      internal: Type.Optional(Type.Boolean({ description: 'Missing: as it is.' })),
      upstreams: Type.Optional(
        Type.Array(Type.String(), { description: "Replaces them; empty: the host's servers again." }),
      ),
      labels: Type.Optional(stringMap('Replaces all labels.')),
    },
    STRICT,
  ),
);
