import { isIfName } from '../addr/index.ts';
import { CNI_CODES, CniError } from '../cni/index.ts';
import type { RuntimeConf } from './types.ts';

/** Names of containers and networks: they become parts of paths. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** @throws CniError 7 */
export function checkNetworkName(name: string): void {
  if (NAME.test(name)) return;
  const what = name === '' ? 'is missing' : `${JSON.stringify(name)} is no name`;
  throw new CniError(CNI_CODES.BAD_CONFIGURATION, `name: ${what}`, {
    hint: 'Letters, digits, "_", "." and "-", a letter or digit first.',
  });
}

/** @throws CniError 3, 4 */
export function checkAttachment({ containerID, ifName }: Pick<RuntimeConf, 'containerID' | 'ifName'>): void {
  if (containerID === '') throw new CniError(CNI_CODES.UNKNOWN_CONTAINER, 'the container id is missing');
  if (!NAME.test(containerID))
    throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `${JSON.stringify(containerID)} is no container id`, {
      hint: 'Letters, digits, "_", "." and "-", a letter or digit first.',
    });
  if (!isIfName(ifName) || ifName.includes(':'))
    throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `${JSON.stringify(ifName)} is no name of an interface`, {
      hint: '15 bytes at most, no "/", no ":", no space.',
    });
}
