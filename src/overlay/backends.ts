import { NetloomError } from '../errors.ts';
import type { BackendName, Overlay } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { bgp } from './bgp.ts';
import { gre } from './gre.ts';
import { hostGw } from './host-gw.ts';
import { ipsec } from './ipsec.ts';
import { ipip } from './ipip.ts';
import { udp } from './udp.ts';
import { vxlan } from './vxlan.ts';
import { wireguard } from './wireguard.ts';

/** Every backend that there is, once. */
const BACKENDS: { readonly [K in BackendName]?: Backend & { readonly name: K } } = {
  vxlan,
  'host-gw': hostGw,
  wireguard,
  ipsec,
  ipip,
  gre,
  udp,
  bgp,
};

/** Those that `backendOf` knows. */
export const BACKEND_NAMES: readonly BackendName[] = Object.keys(BACKENDS) as BackendName[];

/** @throws NetloomError EBADBACKEND */
export function backendOf(name: string): Backend {
  const backend = Object.hasOwn(BACKENDS, name) ? BACKENDS[name as BackendName] : undefined;
  if (backend) return backend;
  throw new NetloomError('EBADBACKEND', `no backend "${name}"`, { hint: `one of ${BACKEND_NAMES.join(', ')}` });
}

/** What the network is by its backend; and by the former one, while some hosts are reached by that. */
export function waysOf(overlay: Overlay): readonly Overlay[] {
  return overlay.former ? [overlay, { ...overlay, ...overlay.former }] : [overlay];
}
