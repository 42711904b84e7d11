export { type Drops, readDrops } from './drops.ts';
export { guardElements } from './elements.ts';
export { guardFacts } from './ruleset.ts';
