import Type from 'typebox';
import type { Network, NetworkDetail, NetworkOptions, NetworkSpec, Subnet, SubnetSpec } from '../../model/index.ts';
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

export const networkOptions: Named<NetworkOptions> = define<NetworkOptions>()(
  'NetworkOptions',
  Type.Union([
    Type.Object({
      driver: Type.Literal('bridge'),
      bridge: text("The bridge's interface name."),
      mtu: Type.Integer({ description: 'Bytes.' }),
      icc: Type.Boolean({ description: 'Endpoints may talk to each other.' }),
      masquerade: Type.Boolean({ description: "Outward traffic takes the host's address." }),
      hairpin: Type.Boolean({ description: 'Frames may leave by the port they came from.' }),
      hostBinding: text('Address of published ports that name none.'),
    }),
    Type.Object({ driver: Type.Literal('host') }),
    Type.Object({ driver: Type.Literal('none') }),
  ]),
);

const NETWORK = {
  id: text('64 hexadecimal digits.'),
  name: text('Unique.'),
  driver: words(['bridge', 'host', 'none'], 'Which driver makes it.'),
  created: text('ISO 8601.'),
  internal: Type.Boolean({ description: 'No way outward or inward.' }),
  subnets: Type.Array(subnet.ref),
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
      options: Type.Optional(stringMap("The driver's options, as `-o`.")),
      labels: Type.Optional(stringMap('Words of the user.')),
    },
    STRICT,
  ),
);
