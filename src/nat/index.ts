export {
  denialElement,
  ingressElements,
  networkElements,
  overlayElements,
  peerElements,
  portElements,
  resolverElements,
  shardElements,
} from './elements.ts';
export { outerFacts } from './outer.ts';
export { CONFINED, rulesetFacts, SETS } from './ruleset.ts';
