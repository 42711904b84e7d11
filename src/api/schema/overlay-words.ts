import type { AddressPlan, BackendName } from '../../model/index.ts';

/** Beside the schemas, of which each file exports nothing else. */
export const PLANS: readonly AddressPlan[] = ['node', 'flat'];
export const BACKENDS: readonly BackendName[] = ['vxlan', 'host-gw', 'udp', 'ipip', 'gre', 'wireguard', 'ipsec', 'bgp'];
