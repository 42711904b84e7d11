import type { Subnet, SubnetSpec } from './network.ts';

/**
 * Addresses to give out where the network is somebody else's: for IPAM plugins. The pool survives a reboot, with its
 * gateway and auxiliary addresses; what was allocated from it lives as long as the machine runs.
 */
export interface AddressPool extends Subnet {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** ISO 8601. */
  readonly created: string;
}
export interface PoolSpec extends SubnetSpec {
  /** Unique. Missing: after the id. */
  readonly name?: string;
  /** Of the subnet that is chosen where none is given; default 4. */
  readonly family?: 4 | 6;
}
/** A pool with what is allocated from it. */
export interface AddressPoolDetail extends AddressPool {
  readonly allocations: readonly Allocation[];
}
/** One address that somebody has. */
export interface Allocation {
  /** With the pool's prefix length: `10.1.0.2/24`. */
  readonly address: string;
  readonly owner: string;
}
export interface AllocateSpec {
  /** Name or id. */
  readonly pool: string;
  /** Without prefix length; missing: a free one. */
  readonly address?: string;
  /** Whose it is to be. Whoever asks again for the same owner has the same answer. */
  readonly owner: string;
  /**
   * It becomes part of the pool's own record, which a reboot leaves alone: as its gateway, or as an auxiliary address of
   * the owner's name. `addressRelease` does not give it back.
   */
  readonly as?: 'gateway' | 'auxiliary';
}
/** What to give back: the address, or whatever the owner has. */
export interface ReleaseSpec {
  readonly pool: string;
  readonly address?: string;
  readonly owner?: string;
}
