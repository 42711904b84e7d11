/** Key pairs of hosts, and what is derived from them. What is secret leaves here as bytes for the kernel only. */
export { type Epochs, nextEpochs } from './epochs.ts';
export {
  claimUse,
  dropClaim,
  ensureKeyFile,
  forgetKeys,
  keepKey,
  nextKeyFile,
  readKeyFile,
  readKeyOf,
  useOf,
} from './file.ts';
export { drawEpoch, ESP_KEY_LENGTH, type EspDirection, type EspEnd, espKey, espKeyOf, espSpi } from './ipsec.ts';
export { generatePrivateKey, keyBytes, publicKeyOf, sharedSecret } from './x25519.ts';
