import { NetloomError } from '../errors.ts';
import type { ChangeOptions, Endpoint, EndpointUpdate, Network, NetworkUpdate, Outcome } from '../model/index.ts';
import type { Core } from './core.ts';

export function networkUpdate(
  _core: Core,
  _ref: string,
  _update: NetworkUpdate,
  _options?: ChangeOptions,
): Promise<Outcome<Network>> {
  throw new NetloomError('EUNSUPPORTED', 'network update is not built yet');
}

export function containerUpdate(
  _core: Core,
  _ref: string,
  _update: EndpointUpdate & { readonly network?: string },
  _options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  throw new NetloomError('EUNSUPPORTED', 'container update is not built yet');
}

export function endpointUpdate(
  _core: Core,
  _id: string,
  _update: EndpointUpdate,
  _options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  throw new NetloomError('EUNSUPPORTED', 'endpoint update is not built yet');
}
