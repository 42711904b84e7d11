import { type Fact, factKey } from '../facts/index.ts';

/** A comparison asks for each key some ten times, and that of an element is made of its bytes. */
const known = new WeakMap<Fact, string>();

/** As `factKey`, remembered for as long as the fact is. */
export function keyOf(fact: Fact): string {
  let key = known.get(fact);
  // a key that is put together stays a tree of its parts, each of which takes as much as the whole: they are kept by thousands
  if (key === undefined) known.set(fact, (key = Buffer.from(factKey(fact)).toString()));
  return key;
}
