import Type from 'typebox';
import type { AttachSpec, Endpoint, EndpointSpec, PortProtocol, PortSpec, PublishedPort } from '../../model/index.ts';
import { define, type Named, STRICT, text, words } from './define.ts';

const PROTOCOL: Type.TUnsafe<PortProtocol> = words(['tcp', 'udp', 'sctp'], 'Transport protocol.');
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
    },
    STRICT,
  ),
);

export const endpoint: Named<Endpoint> = define<Endpoint>()(
  'Endpoint',
  Type.Object({
    id: text('Unique.'),
    network: text('Network id.'),
    container: text('Container id; empty for a bare namespace.'),
    netns: text('Path of the namespace.'),
    ifname: text("The interface's name inside."),
    hostIfname: text("The host's end; empty where the driver has none."),
    mac: text('`02:42:ac:12:00:02`'),
    addresses: Type.Array(Type.String(), { description: 'With prefix length; IPv4 first.' }),
    gateways: Type.Array(Type.String(), { description: 'Default gateways that this endpoint provides.' }),
    aliases: Type.Array(Type.String()),
    gatewayPriority: Type.Number({ description: 'Higher wins the default route.' }),
    ports: Type.Array(publishedPort.ref),
    created: text('ISO 8601.'),
    phase: words(['creating', 'ready', 'removing'], 'Anything but `ready` is being worked on by `owner`.'),
    owner: text('The engine that is changing it; empty when ready.'),
  }),
);

const ENDPOINT_SPEC = {
  network: Type.String({ description: 'Name, id, or unique beginning of an id.', minLength: 1 }),
  addresses: Type.Optional(Type.Array(Type.String(), { description: 'Fixed addresses, without prefix length.' })),
  mac: Type.Optional(text('`02:42:ac:12:00:02`')),
  aliases: Type.Optional(Type.Array(Type.String())),
  ifname: Type.Optional(text('Missing: the first free `ethN`.')),
  gatewayPriority: Type.Optional(Type.Number({ description: 'Higher wins the default route.' })),
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
      netns: Type.String({ description: 'Path of the namespace.', minLength: 1 }),
      ports: Type.Optional(Type.Array(portSpec.ref)),
    },
    STRICT,
  ),
);
