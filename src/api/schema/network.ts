import Type from 'typebox';
import type {
  GatewayMode,
  Ipam,
  Network,
  NetworkDetail,
  NetworkOptions,
  NetworkSpec,
  NetworkUpdate,
  Subnet,
  SubnetSpec,
} from '../../model/index.ts';
import { endpoint } from './endpoint.ts';
import { define, type Named, STRICT, stringMap, text, words } from './define.ts';

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

const IPAM: readonly Ipam[] = ['pool', 'dhcp'];
const NETWORK = {
  id: text('64 hexadecimal digits.'),
  name: text('Unique.'),
  driver: words(['bridge', 'macvlan', 'ipvlan', 'host', 'none'], 'Which driver makes it.'),
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
  labels: stringMap('Words of the user.'),
  phase: PHASE,
  owner: text('The engine that is changing it; empty when ready.'),
};

export const network: Named<Network> = define<Network>()('Network', Type.Object(NETWORK));

export const networkDetail: Named<NetworkDetail> = define<NetworkDetail>()(
  'NetworkDetail',
  Type.Object({ ...NETWORK, endpoints: Type.Array(endpoint.ref) }),
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
      labels: Type.Optional(stringMap('Replaces all labels.')),
    },
    STRICT,
  ),
);
