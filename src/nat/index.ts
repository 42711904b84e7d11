export { denialElement, networkElements, portElements, shardElements } from './elements.ts';
export { rulesetFacts, SETS } from './ruleset.ts';
