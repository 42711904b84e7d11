import { type Fact, factKey, kindOf } from '../facts/index.ts';
import { type Change, removalOf } from './apply.ts';

/**
 * What turns the facts of some objects as they were into those that they become; what is the same in both is left alone.
 * The rule set comes last and in one piece, so that it changes in one transaction. A key that is succeeded by another goes
 * when that one is there: between the two nothing could be sent.
 * @param rank what else is changed goes in this order, where the order of `after` would not do; lower is earlier
 */
export function transition(
  before: readonly Fact[],
  after: readonly Fact[],
  rank: (change: Change) => number = () => 0,
): Change[] {
  const had = new Map(before.map((fact) => [factKey(fact), fact]));
  const wanted = new Map(after.map((fact) => [factKey(fact), fact]));
  const changes: Change[] = [];
  for (const [key, fact] of wanted) {
    const have = had.get(key);
    const kind = kindOf(fact);
    if (!have) changes.push({ verb: 'add', fact });
    else if (kind.differences(fact, have).length === 0) continue;
    else if (kind.change(fact, have)) changes.push({ verb: 'change', fact, have });
    else changes.push({ verb: 'delete', fact: have }, { verb: 'add', fact });
  }
  const gone = removalOf([...had].filter(([key]) => !wanted.has(key)).map(([, fact]) => fact));
  const isRule = ({ fact }: Change): boolean => fact.kind.startsWith('nft-');
  const isOverlapping = ({ fact }: Change): boolean => OVERLAPPING.includes(fact.kind);
  return [
    ...gone.filter((change) => !isRule(change) && !isOverlapping(change)),
    ...changes.filter((change) => !isRule(change)).toSorted((a, b) => rank(a) - rank(b)),
    ...gone.filter(isOverlapping),
    ...gone.filter(isRule),
    ...changes.filter(isRule),
  ];
}

const OVERLAPPING: readonly Fact['kind'][] = ['wg-peer', 'xfrm-state'];
