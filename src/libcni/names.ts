import { isIfName } from '../addr/index.ts';
import { CNI_CODES, CniError, IFNAME_HINT, NAME, NAME_HINT } from '../cni/index.ts';
import type { RuntimeConf } from './types.ts';

/** @throws CniError 7 */
export function checkNetworkName(name: string): void {
  if (NAME.test(name)) return;
  const what = name === '' ? 'is missing' : `${JSON.stringify(name)} is no name`;
  throw new CniError(CNI_CODES.BAD_CONFIGURATION, `name: ${what}`, {
    hint: NAME_HINT,
  });
}

/** @throws CniError 3, 4 */
export function checkAttachment({ containerID, ifName }: Pick<RuntimeConf, 'containerID' | 'ifName'>): void {
  if (containerID === '') throw new CniError(CNI_CODES.UNKNOWN_CONTAINER, 'the container id is missing');
  if (!NAME.test(containerID))
    throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `${JSON.stringify(containerID)} is no container id`, {
      hint: NAME_HINT,
    });
  if (!isIfName(ifName))
    throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `${JSON.stringify(ifName)} is no name of an interface`, {
      hint: IFNAME_HINT,
    });
}
