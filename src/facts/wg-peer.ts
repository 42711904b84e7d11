import type { WgEndpoint, WgPeer, WgPeerSpec } from '../wireguard/index.ts';
import { linkKeys } from './address.ts';
import { placeOf, quote, runIn } from './command.ts';
import type { FactBase, FactKind, NetlinkStep } from './types.ts';
import { ourDevices, wgStep } from './wg-device.ts';

/** Another end of a WireGuard interface: where it is, and whose packets come from it. Ours as the link is. @see wg(8) */
export interface WgPeerFact extends FactBase {
  readonly kind: 'wg-peer';
  readonly dev: string;
  /** In base64. */
  readonly publicKey: string;
  readonly endpoint: WgEndpoint;
  /** Prefixes that are sent to it and taken from it, canonical and sorted. What another peer had of them moves here. */
  readonly allowedIps: readonly string[];
  /** Seconds; 0: never. */
  readonly keepalive: number;
}

export const wgPeerKind: FactKind<WgPeerFact> = {
  key: (fact) => `wg-peer ${fact.ns} ${fact.dev} ${fact.publicKey}`,
  add: settingStep,
  // in place: the session goes on
  change: settingStep,
  delete: ({ ns, dev, publicKey }) => wgStep(ns, dev, () => ({ name: dev, peers: [{ publicKey, remove: true }] })),
  async read(kernel, ns) {
    const devices = await ourDevices(kernel, ns);
    return devices.flatMap(({ name, peers }) => peers.map((peer) => factOf(peer, ns, name)));
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (endpointText(want.endpoint) !== endpointText(have.endpoint)) wrong.push('endpoint');
    if (want.allowedIps.join() !== have.allowedIps.join()) wrong.push('allowed-ips');
    if (want.keepalive !== have.keepalive) wrong.push('persistent-keepalive');
    return wrong;
  },
  describe: (fact) => `the WireGuard peer ${fact.publicKey} of ${fact.dev}${placeOf(fact.ns)}`,
  command(fact, verb) {
    const peer = `wg set ${quote(fact.dev)} peer ${quote(fact.publicKey)}`;
    if (verb === 'delete') return runIn(fact.ns, `${peer} remove`);
    const words = [
      `endpoint ${quote(endpointText(fact.endpoint))}`,
      `persistent-keepalive ${fact.keepalive}`,
      `allowed-ips ${quote(fact.allowedIps.join(','))}`,
    ];
    return runIn(fact.ns, `${peer} ${words.join(' ')}`);
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

function settingStep(fact: WgPeerFact): NetlinkStep {
  return wgStep(fact.ns, fact.dev, () => ({ name: fact.dev, peers: [specOf(fact)] }));
}

function specOf({ publicKey, endpoint, allowedIps, keepalive }: WgPeerFact): WgPeerSpec {
  return { publicKey, endpoint, allowedIps, keepalive, replaceAllowedIps: true };
}

function factOf({ publicKey, endpoint, allowedIps, keepalive }: WgPeer, ns: string, dev: string): WgPeerFact {
  return {
    kind: 'wg-peer',
    ns,
    object: '',
    dev,
    publicKey,
    endpoint: endpoint ?? { address: '', port: 0 },
    allowedIps: allowedIps.toSorted(),
    keepalive,
  };
}

/** `192.0.2.1:51820`, `[2001:db8::1]:51820`; empty for none. */
function endpointText({ address, port }: WgEndpoint): string {
  if (address === '') return '';
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
