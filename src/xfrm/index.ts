/** IPsec's states and policies. Nothing here flushes: others have theirs beside ours. @see ip-xfrm(8), linux/xfrm.h */
export { XFRMNLGRP } from './constants.ts';
export { parseXfrmEvent, type XfrmEvent } from './events.ts';
export {
  parsePolicy,
  policyAdd,
  policyDelete,
  policyDump,
  policyUpdate,
  type XfrmDir,
  type XfrmPolicy,
  type XfrmPolicyId,
  type XfrmPolicySpec,
  type XfrmTemplate,
} from './policy.ts';
export {
  parseState,
  spiText,
  stateAdd,
  stateDelete,
  stateDump,
  stateGet,
  type XfrmAead,
  type XfrmState,
  type XfrmStateId,
  type XfrmStateSpec,
} from './state.ts';
export { hasPayload, type XfrmLimits, type XfrmSelector } from './structs.ts';
