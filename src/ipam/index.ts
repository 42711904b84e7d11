/** Which subnet and which address is next: pure, over the store's transaction. */
export { DEFAULT_POOLS, chooseSubnet, parsePool, ulaPool } from './pools.ts';
export type { Pool } from './pools.ts';
export { chooseAddress } from './free.ts';
export { addressSpace, leaseKey, LEASES } from './reserved.ts';
export type { AddressSpace } from './reserved.ts';
export {
  forgetNetwork,
  leaseAddress,
  leaseAddresses,
  listLeases,
  PoolExhaustedError,
  releaseAddress,
  whyTaken,
} from './leases.ts';
export type { Lease, LeaseRequest, LeasingNetwork } from './leases.ts';
