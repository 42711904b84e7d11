/** A number below another, out of a seed: the same for ever (xorshift, Marsaglia 2003), at hardly any cost. */
export type Dice = (below: number) => number;
export function dice(seed: number): Dice {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** How many cases a fuzz test tries: `FUZZ_CASES=5000000` for a long run. */
export function fuzzCases(usual: number): number {
  return Number(process.env['FUZZ_CASES'] ?? usual);
}

/** A copy with up to four bytes changed, cut short now and then. */
export function damaged(whole: Uint8Array, roll: Dice): Uint8Array {
  const bytes = whole.slice();
  for (let n = 1 + roll(4); n > 0; n--)
    bytes[roll(bytes.length)] = roll(3) === 0 ? [0, 1, 52, 255][roll(4)]! : roll(256);
  return roll(4) === 0 ? bytes.subarray(0, roll(bytes.length + 1)) : bytes;
}
