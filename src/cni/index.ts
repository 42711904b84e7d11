export { runIpam } from './ipam.ts';
export { runPlugin } from './plugin.ts';
export { type Configuration, CONFIGURATION_MAX, parseConfiguration, versionIn } from './configuration.ts';
export { CNI_CODES, type CniCode, CniError, errorAnswer, type ErrorAnswer } from './errors.ts';
export { IFNAME_HINT, NAME, NAME_HINT, type Parameters, parseParameters } from './parameters.ts';
export { mergeResults, parseResult, printResult } from './result.ts';
export { oddity, Place } from './json.ts';
export {
  type Attachment,
  isSpecVersion,
  LATEST,
  type Result,
  type ResultDns,
  type ResultInterface,
  type ResultIp,
  type ResultRoute,
  since,
  SPEC_VERSIONS,
  type SpecVersion,
  type Verb,
  VERBS,
} from './spec.ts';
