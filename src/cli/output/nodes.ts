import type { ClusterStatus, Node } from '../../model/index.ts';
import { ago } from './duration.ts';
import { type Look, shortId, type View } from './views.ts';

/** What `node ls` and its `--format` read. */
export function nodeRow(node: Node, look: Pick<Look, 'noTrunc' | 'now'>): View {
  return {
    ID: shortId(node.id, look),
    Name: node.name,
    Self: node.self,
    Status: node.state,
    Addresses: node.addresses.join(', '),
    Reason: node.reason,
    Interface: node.dev,
    MTU: node.mtu,
    Version: node.version,
    Networks: node.networks.map(({ name }) => name).join(', '),
    Endpoints: node.networks.reduce((sum, { endpoints }) => sum + endpoints, 0),
    CreatedAt: node.joined,
    RunningFor: ago(node.joined, look.now),
  };
}

export function nodeInspect(node: Node): View {
  return {
    Name: node.name,
    Id: node.id,
    Created: node.joined,
    Self: node.self,
    Status: node.state,
    Addresses: node.addresses,
    Reason: node.reason,
    Interface: node.dev,
    MTU: node.mtu,
    Version: node.version,
    Networks: node.networks.map(({ name, plan, backend, prefixes, endpoints, publicKey, rekeyed }) => ({
      Name: name,
      Plan: plan,
      Backend: backend,
      Prefixes: prefixes,
      Endpoints: endpoints,
      ...(publicKey !== undefined && { PublicKey: publicKey }),
      ...(rekeyed !== undefined && { Rekeyed: rekeyed }),
    })),
  };
}

export function statusView({ node, state, reason, etcd, faults, bgp }: ClusterStatus): View {
  const neighbors = bgp?.neighbors.map(
    ({ address, asn, node: other, state: session, since, received, stale, sent, reason: why }) => ({
      ...{ Address: address, ASN: asn, Node: other, State: session, Since: since },
      ...{ Received: received, Kept: stale, Sent: sent, Reason: why },
    }),
  );
  const speaker = bgp && { ASN: bgp.asn, RouterId: bgp.routerId, Listening: bgp.listening, Neighbors: neighbors };
  return { Name: node, State: state, Reason: reason, Etcd: etcd, Faults: faults, ...(speaker && { BGP: speaker }) };
}

/** Sessions of BGP, and what does not work. */
export function statusLines({ faults, bgp }: ClusterStatus, now: number): string[] {
  const lines = faults.map((fault) => `fault: ${fault}`);
  if (!bgp) return lines;
  const sessions = bgp.neighbors.map(({ address, asn, node, state, since, received, stale, sent }) => {
    const kept = stale === 0 ? '' : `, ${stale} of them kept`;
    const whose = node === '' ? '' : ` ${node}`;
    return `  ${address} AS ${asn}${whose}: ${state}, ${ago(since, now)}, ${received} received${kept}, ${sent} sent`;
  });
  return [`bgp: AS ${bgp.asn}, router ${bgp.routerId}`, ...sessions, ...lines];
}
