import { parseIp, parsePort } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { bridgeFieldsOf, parseBridgeOptions } from './bridge-options.ts';
import type { EndpointUpdate, UnpublishSpec } from './container.ts';
import { parseIpvlanOptions, parseMacvlanOptions } from './lan-options.ts';
import { within } from './names.ts';
import type { BridgeOptions, Network, NetworkOptions, NetworkUpdate } from './network.ts';
import { checkPorts } from './publish.ts';
import { checkRate, parseUpstreams } from './validate-endpoint.ts';
import { upstreamsOf } from './validate-network.ts';

/** Checks a wanted change of an endpoint and makes its texts canonical. @throws NetloomError EBADPORT, EBADOPTION */
export function parseEndpointUpdate(update: EndpointUpdate): EndpointUpdate {
  const { publish = [], unpublish = [], ingressRate, egressRate, upstreams } = update;
  const values = [ingressRate, egressRate, upstreams];
  if (publish.length + unpublish.length === 0 && values.every((value) => value === undefined)) {
    throw new NetloomError('EBADOPTION', 'there is nothing to change: give a port to publish or unpublish, or a rate');
  }
  return {
    publish: checkPorts(publish),
    unpublish: unpublish.map(checkUnpublish),
    ...(ingressRate !== undefined && { ingressRate: checkRate('ingress', ingressRate) }),
    ...(egressRate !== undefined && { egressRate: checkRate('egress', egressRate) }),
    ...(upstreams && { upstreams: parseUpstreams(upstreams) }),
  };
}

/** Of a network, what an update can change. */
export type NetworkChanges = Pick<Network, 'internal' | 'options' | 'upstreams' | 'labels'>;

/**
 * What a network becomes. Where `mtu` is 0, the uplink's is to be looked up.
 * @throws NetloomError EBADOPTION; EIMMUTABLE for what only a new network can have
 */
export function parseNetworkUpdate(network: Network, update: NetworkUpdate): NetworkChanges {
  return within(`network ${network.name}`, () => {
    const { options, internal: inside, upstreams, labels } = update;
    if ([options, inside, upstreams, labels].every((each) => each === undefined))
      throw new NetloomError('EBADOPTION', 'there is nothing to change: give an option, labels, upstreams or internal');
    const internal = update.internal ?? network.internal;
    return {
      internal: checkInternal(network, internal),
      options: changeOptions(network, update.options ?? {}, internal),
      ...(upstreams ? upstreamsOf(upstreams) : network.upstreams && { upstreams: network.upstreams }),
      labels: update.labels ? { ...update.labels } : network.labels,
    };
  });
}

function checkUnpublish(spec: UnpublishSpec): UnpublishSpec {
  const [port] = checkPorts([{ ...spec, containerPort: spec.hostPort }]);
  parsePort(String(spec.hostPort));
  return { ...spec, ...(port?.hostAddress !== undefined && { hostAddress: parseIp(port.hostAddress).text }) };
}

function checkInternal(network: Network, internal: boolean): boolean {
  if (internal === network.internal) return internal;
  const { options } = network;
  if (options.driver !== 'bridge' && 'parent' in options && options.parent === '')
    throw immutable('internal', 'without a parent it leads nowhere');
  if (options.driver === 'bridge' && [options.gatewayMode4, options.gatewayMode6].includes('isolated'))
    throw immutable('internal', 'in the gateway mode isolated its bridge has no address');
  return internal;
}

/** Why a field can only be chosen at the creation of a bridge network; the others can be changed. */
const FIXED: Partial<Record<keyof BridgeOptions, string>> = {
  bridge: 'everything that is attached knows its interface by this name',
};

function changeOptions(network: Network, asked: Readonly<Record<string, string>>, internal: boolean): NetworkOptions {
  const { options: current } = network;
  const ipv6 = network.subnets.some(({ subnet }) => subnet.includes(':'));
  const [first] = Object.keys(asked);
  switch (current.driver) {
    case 'bridge':
      return changeBridge(current, asked, ipv6, internal);
    case 'macvlan':
    case 'ipvlan': {
      const parsed = current.driver === 'macvlan' ? parseMacvlanOptions(asked, ipv6) : parseIpvlanOptions(asked, ipv6);
      const fixed = Object.keys(asked).find((key) => key !== 'mtu' && key !== 'com.docker.network.driver.mtu');
      if (fixed !== undefined) throw immutable(fixed, 'its endpoints are made of it');
      return first === undefined ? current : { ...current, mtu: parsed.mtu };
    }
    case 'host':
    case 'none':
      if (first !== undefined)
        throw new NetloomError('EBADOPTION', `the ${current.driver} driver has no option "${first}": leave it out`);
      return current;
  }
}

function changeBridge(
  current: BridgeOptions,
  asked: Readonly<Record<string, string>>,
  ipv6: boolean,
  internal: boolean,
): BridgeOptions {
  const parsed = parseBridgeOptions(asked, { bridge: current.bridge, ipv6, internal });
  const fields = new Set(
    bridgeFieldsOf(asked).flatMap((field) =>
      field === 'gatewayMode' ? (['gatewayMode4', 'gatewayMode6'] as const) : [field],
    ),
  );
  const { gatewayMode4, gatewayMode6, followsUplink, ...rest } = current;
  const changed: Record<string, unknown> = { ...rest };
  for (const field of fields) {
    if (field === 'gatewayMode4' || field === 'gatewayMode6') continue;
    const reason = FIXED[field];
    if (reason !== undefined && parsed[field] !== current[field]) throw immutable(field, reason);
    changed[field] = parsed[field];
  }
  const modes = {
    gatewayMode4: fields.has('gatewayMode4') ? parsed.gatewayMode4 : gatewayMode4,
    gatewayMode6: fields.has('gatewayMode6') ? parsed.gatewayMode6 : gatewayMode6,
  };
  for (const field of ['gatewayMode4', 'gatewayMode6'] as const) {
    const [before, after] = [current[field], modes[field]];
    if (before !== after && (before === 'isolated' || after === 'isolated'))
      throw immutable(field, 'its endpoints’ gateway would come or go');
    if (after !== undefined) changed[field] = after;
  }
  const follows = fields.has('mtu') ? parsed.mtu === 0 : followsUplink === true;
  return { ...(changed as unknown as BridgeOptions), ...(follows && { followsUplink: true }) };
}

function immutable(what: string, why: string): NetloomError {
  return new NetloomError('EIMMUTABLE', `${what} cannot be changed: ${why}`, {
    hint: 'create a new network with it, and move the workloads',
  });
}
