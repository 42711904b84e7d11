export { denialElement, networkElements, portElements, resolverElements, shardElements } from './elements.ts';
export { CONFINED, rulesetFacts, SETS } from './ruleset.ts';
