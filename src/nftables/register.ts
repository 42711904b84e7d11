import { NFT_REG } from './constants.ts';

/** Registers are counted here in slots of four bytes, 0 to 15. A full register, 16 bytes, has four of them. */
export const FULL_REGISTER = 4;

/** The number that the kernel shows for a slot: 1 to 4 where a full register begins, 8 to 23 elsewhere. */
export function register(slot: number): number {
  if (slot >= NFT_REG.SLOTS) throw new RangeError(`a rule has registers for ${NFT_REG.SLOTS * 4} bytes only`);
  return slot % FULL_REGISTER === 0 ? NFT_REG.FIRST + slot / FULL_REGISTER : NFT_REG.FIRST32 + slot;
}
