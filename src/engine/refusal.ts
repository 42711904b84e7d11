import { NetloomError, UnsupportedError } from '../errors.ts';
import { kindOf } from '../facts/index.ts';
import type { NetlinkError } from '../netlink/index.ts';
import type { Change } from './apply.ts';

/**
 * Says in a person's words why the kernel refused a change, and what to do. Where nothing more is known, the kernel's
 * own words stand.
 */
export function explainRefusal({ verb, fact }: Change, error: NetlinkError): NetloomError {
  const what = kindOf(fact).describe(fact);
  const options = { cause: error };
  switch (error.code) {
    case 'EPERM':
      return new NetloomError('EPERM', `no privilege to ${verb} ${what}`, {
        ...options,
        hint: 'run it as root, or in a user namespace of your own (unshare -Urnm)',
      });
    case 'EEXIST':
      return new NetloomError('ECONFLICT', `${what} is there already, and is not netloom's`, {
        ...options,
        hint: 'choose another name, or remove the one that is in the way',
      });
    case 'EXFULL':
      return new NetloomError(
        'EBRIDGEFULL',
        `${what}: the bridge has 1,023 ports, which is all that the kernel gives one`,
        {
          ...options,
          hint: 'use a second network',
        },
      );
    case 'EOPNOTSUPP':
      if (verb === 'add' && fact.kind === 'link')
        return new UnsupportedError(
          `links of type ${fact.origin.type}`,
          'load its module, or use a kernel that has it',
          options,
        );
      break;
    case 'ENOENT':
      if (verb === 'add' && fact.kind === 'nft-chain') {
        return new UnsupportedError(
          'nftables expression that the rule set needs (fib, nat or ct)',
          'load nft_fib_inet, nft_chain_nat, nft_masq and nft_ct',
          options,
        );
      }
      break;
  }
  return new NetloomError(error.code, `${what}: ${error.message}`, options);
}
