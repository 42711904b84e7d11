import { NetloomError } from '../errors.ts';

declare const brand: unique symbol;
/** An interface name that the kernel accepts as it stands. */
export type IfName = string & { readonly [brand]: 'IfName' };

/** linux/if.h IFNAMSIZ, less the terminating zero. */
export const IFNAME_MAX = 15;

/**
 * Checks a name for a new interface: the rules of the kernel's dev_valid_name(), printable ASCII only (its isspace()
 * takes byte 0xa0 for a space), and no `%`, which the kernel would replace by a number of its own choice.
 * @throws NetloomError EBADIFNAME
 */
export function ifName(text: string): IfName {
  const fault = faultOf(text);
  if (fault) throw new NetloomError('EBADIFNAME', `"${text}" is no interface name: ${fault}`);
  return text as IfName;
}

export function isIfName(text: string): text is IfName {
  return faultOf(text) === '';
}

function faultOf(text: string): string {
  if (text === '') return 'it is empty';
  if (text === '.' || text === '..') return 'choose another than "." and ".."';
  const wrong = /[^!-~]|[/:%]/.exec(text);
  if (wrong) return `leave out ${JSON.stringify(wrong[0])}; use letters, digits, "-", "_" and "."`;
  if (text.length > IFNAME_MAX) return `it has ${text.length} bytes; shorten it to ${IFNAME_MAX}`;
  return '';
}
