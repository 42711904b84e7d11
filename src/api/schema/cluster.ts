import Type from 'typebox';
import type {
  BgpSession,
  BgpStatus,
  ClusterStatus,
  JoinFinding,
  JoinSpec,
  Node,
  NodeNetwork,
} from '../../model/index.ts';
import { define, type Named, STRICT, text, words } from './define.ts';
import { BACKENDS, PLANS } from './overlay-words.ts';

const texts = (description: string): Type.TArray<Type.TString> => Type.Array(Type.String(), { description });

export const nodeNetwork: Named<NodeNetwork> = define<NodeNetwork>()(
  'NodeNetwork',
  Type.Object({
    name: text("The network's name."),
    plan: words(PLANS, '`node`: each host has a prefix of its own; `flat`: any address on any host.'),
    backend: words(BACKENDS, 'How packets go to this node.'),
    prefixes: texts('Its own prefixes in the plan `node`.'),
    endpoints: Type.Integer({ description: 'How many it has there.' }),
    publicKey: Type.Optional(text('Its public key there, of backends that encrypt; base64.')),
    rekeyed: Type.Optional(text('When it last began to change its keys there; ISO 8601.')),
  }),
);

export const node: Named<Node> = define<Node>()(
  'Node',
  Type.Object({
    name: text('Unique in the cluster.'),
    id: text('Drawn once at the host: another that comes by the same name is told from it.'),
    state: words(['ready', 'draining', 'down'], '`down`: not heard of; what it had stays its own until it is removed.'),
    self: Type.Boolean({ description: 'The host that answers.' }),
    addresses: texts('Where the others reach it, one a family at most.'),
    reason: text('Why these: `towards etcd at 192.0.2.10`, `as asked`.'),
    dev: text('The interface that has them.'),
    mtu: Type.Integer({ description: "The interface's; bytes." }),
    version: text("Netloom's."),
    joined: text('ISO 8601.'),
    networks: Type.Array(nodeNetwork.ref),
  }),
);

export const joinFinding: Named<JoinFinding> = define<JoinFinding>()(
  'JoinFinding',
  Type.Object({
    check: text('`clock`, `reachable`, `mtu` …'),
    severity: words(['ok', 'warn', 'stop'], '`stop`: it would not work.'),
    text: text('One line: what was seen, and what to do.'),
  }),
);

interface JoinAnswer {
  readonly node: Node;
  readonly findings: readonly JoinFinding[];
}
export const joinAnswer: Named<JoinAnswer> = define<JoinAnswer>()(
  'JoinAnswer',
  Type.Object({ node: node.ref, findings: Type.Array(joinFinding.ref) }),
);

export const joinSpec: Named<JoinSpec> = define<JoinSpec>()(
  'JoinSpec',
  Type.Object(
    {
      etcd: texts("URLs of etcd's members: `http://192.0.2.10:2379`."),
      prefix: Type.Optional(text('Before every key in etcd; default: `/netloom/`.')),
      caFile: Type.Optional(text("PEM file, on the daemon's host: whom to believe.")),
      certFile: Type.Optional(text('PEM file: our certificate.')),
      keyFile: Type.Optional(text('PEM file: its key.')),
      username: Type.Optional(text("Of etcd's users.")),
      passwordFile: Type.Optional(text('The password is its first line.')),
      name: Type.Optional(text("Unique in the cluster; default: the host's name.")),
      addresses: Type.Optional(texts('Where the others reach this host, one a family at most; missing: found out.')),
      ttl: Type.Optional(
        Type.Integer({
          minimum: 5,
          maximum: 600,
          description: 'Seconds after which this host, when etcd does not hear of it, is taken for down; default 10.',
        }),
      ),
      bgp: Type.Optional(
        Type.Object(
          {
            asn: Type.Optional(Type.Integer({ description: 'Its AS.' })),
            neighbors: Type.Optional(texts('Routers that it speaks with, address and AS: `192.0.2.254:64513`.')),
          },
          { ...STRICT, description: "What of BGP is this node's own, instead of what networks say." },
        ),
      ),
    },
    STRICT,
  ),
);

const STATES: readonly BgpSession['state'][] = [
  ...(['idle', 'connect', 'active', 'opensent', 'openconfirm', 'established'] as const),
];
export const bgpSession: Named<BgpSession> = define<BgpSession>()(
  'BgpSession',
  Type.Object({
    address: text("The neighbor's."),
    asn: Type.Integer({ description: 'The AS that it should be of.' }),
    node: text('The node that it is; empty for a router.'),
    state: words(STATES, 'RFC 4271 section 8.2.2.'),
    since: text('Since when the session is up, or is not; ISO 8601.'),
    received: Type.Integer({ description: 'Prefixes that it told.' }),
    stale: Type.Integer({ description: 'Of these: kept until it is back.' }),
    sent: Type.Integer({ description: 'Prefixes that it was told.' }),
    reason: text('Why there is no session; empty while there is one.'),
  }),
);

export const bgpStatus: Named<BgpStatus> = define<BgpStatus>()(
  'BgpStatus',
  Type.Object({
    asn: Type.Integer({ description: "This node's AS." }),
    routerId: text('As an IPv4 address.'),
    listening: texts('Where neighbors can connect to, at TCP port 179.'),
    announced: texts('Prefixes.'),
    neighbors: Type.Array(bgpSession.ref),
  }),
);

export const clusterStatus: Named<ClusterStatus> = define<ClusterStatus>()(
  'ClusterStatus',
  Type.Object({
    node: text("This host's name in the cluster; empty: it is in none."),
    etcd: texts('URLs.'),
    state: words(
      ['none', 'connected', 'away', 'lost'],
      '`away`: etcd does not answer, and what is asked of it is refused; `lost`: another host may have the name.',
    ),
    reason: text('Why, where it is not connected.'),
    faults: texts('What does not work, a line each.'),
    bgp: Type.Optional(bgpStatus.ref),
  }),
);
