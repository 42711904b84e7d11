export { DROP_PREFIX, type DropCounter, type Drops, DropTotals, readDrops } from './drops.ts';
export { guardElements } from './elements.ts';
export { guardFacts } from './ruleset.ts';
