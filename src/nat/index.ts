export { networkElements, portElements } from './elements.ts';
export { rulesetFacts, SETS } from './ruleset.ts';
