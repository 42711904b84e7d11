import { NetloomError, UnsupportedError } from '../errors.ts';
import { type Fact, kindOf, type LinkFact } from '../facts/index.ts';
import type { NetlinkError } from '../netlink/index.ts';
import type { Change } from './apply.ts';

/**
 * Says in a person's words why the kernel refused a change, and what to do. Where nothing more is known, the kernel's
 * own words stand.
 */
export function explainRefusal({ verb, fact }: Change, error: NetlinkError): NetloomError {
  const what = kindOf(fact).describe(fact);
  const options = { cause: error };
  const known = verb === 'delete' ? undefined : explainKind(fact, error);
  if (known && (verb === 'add' || fact.kind !== 'link')) return known;
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
      if (verb === 'add' && fact.kind === 'nft-table' && fact.table.family === 'bridge')
        return new UnsupportedError(
          'nf_tables for bridges, which the guard of endpoints needs',
          'use a kernel with CONFIG_NF_TABLES_BRIDGE, or create the network with -o guard=false',
          options,
        );
      if (verb === 'add' && fact.kind === 'link')
        return new UnsupportedError(
          `links of type ${fact.origin.type}`,
          'load its module, or use a kernel that has it',
          options,
        );
      break;
    case 'ENOENT':
      if (verb === 'add' && fact.kind === 'nft-chain' && fact.chain.family === 'bridge') {
        return new UnsupportedError(
          'nftables expression that the guard of endpoints needs (hash)',
          'load nft_hash, or create the network with -o guard=false',
          options,
        );
      }
      if (verb === 'add' && fact.kind === 'nft-chain') {
        return new UnsupportedError(
          'nftables expression that the rule set needs (fib, nat, ct, numgen or connlimit)',
          'load nft_fib_inet, nft_chain_nat, nft_masq, nft_ct, nft_numgen and nft_connlimit',
          options,
        );
      }
      break;
  }
  return new NetloomError(error.code, `${what}: ${error.message}`, options);
}

/** What a refusal means for one kind of fact alone. */
function explainKind(fact: Fact, error: NetlinkError): NetloomError | undefined {
  const options = { cause: error };
  if (fact.kind === 'link') return explainStacked(fact, error) ?? explainTunnel(fact, error);
  if (fact.kind === 'xfrm-state' && NO_ESP.includes(error.code)) {
    return new UnsupportedError(
      'ESP with AES-GCM, which networks with the backend ipsec need',
      'load esp4, esp6 and gcm (CONFIG_INET_ESP, CONFIG_INET6_ESP, CONFIG_CRYPTO_GCM), or take the backend wireguard',
      options,
    );
  }
  if (fact.kind === 'wg-device' && error.code === 'EADDRINUSE') {
    return new NetloomError('EPORTTAKEN', `the UDP port ${fact.port} of ${fact.dev} is another program's`, {
      ...options,
      hint: `ss -lunp 'sport = ${fact.port}' shows whose; give the network another port`,
    });
  }
  return undefined;
}

/** How a kernel says that it has no such protocol, cipher, or IPsec at all. */
const NO_ESP: readonly string[] = ['EPROTONOSUPPORT', 'ENOSYS', 'ENOENT', 'EAFNOSUPPORT'];

/** What the kernel means where a link on top of another one is refused. */
function explainStacked({ origin, name, mtu }: LinkFact, error: NetlinkError): NetloomError | undefined {
  if (origin.type !== 'vlan' && origin.type !== 'macvlan' && origin.type !== 'ipvlan') return undefined;
  const options = { cause: error };
  const { parent } = origin;
  switch (error.code) {
    case 'EOPNOTSUPP':
      return origin.type === 'vlan'
        ? new UnsupportedError('8021q: VLAN sub-interfaces need CONFIG_VLAN_8021Q', 'load the module 8021q', options)
        : new UnsupportedError(
            `${origin.type}: such networks need CONFIG_${origin.type.toUpperCase()}`,
            `load the module ${origin.type}, or use a kernel that has it`,
            options,
          );
    case 'EBUSY':
      return new NetloomError('EPARENTBUSY', `${parent} is in use by another kind of link: ${error.message}`, {
        ...options,
        hint: 'the kernel gives an interface to macvlan, to ipvlan or to a bridge: give another parent, or a VLAN of this one',
      });
    case 'EINVAL':
      if (origin.type === 'vlan') break;
      return new NetloomError('EPARENTBUSY', `${parent} refuses one more ${origin.type} in mode ${origin.mode}`, {
        ...options,
        hint:
          mtu === 0
            ? 'it carries no Ethernet, or somebody has it in mode passthru: ip -d link shows who'
            : `it carries less than ${mtu} bytes, or somebody has it in mode passthru: ip -d link shows who`,
      });
    case 'ENETDOWN':
      return new NetloomError('EBADPARENT', `${name}: its parent ${parent} is down`, {
        ...options,
        hint: `ip link set ${parent} up`,
      });
  }
  return undefined;
}

/** What the kernel means where the end of a tunnel is refused. */
function explainTunnel({ origin, name }: LinkFact, error: NetlinkError): NetloomError | undefined {
  const options = { cause: error };
  if (origin.type === 'ipip' || origin.type === 'gre') {
    if (error.code !== 'EEXIST') return undefined;
    const key = origin.key === 0 ? '' : ` and key ${origin.key}`;
    return new NetloomError(
      'ECONFLICT',
      `${name}, or another ${origin.type} with the local address ${origin.local}${key} and many ends, is there already, and is not netloom's`,
      {
        ...options,
        hint: `ip -d link show type ${origin.type} shows whose: the kernel has one such tunnel for each address`,
      },
    );
  }
  if (origin.type !== 'vxlan') return undefined;
  switch (error.code) {
    case 'EADDRINUSE':
      return new NetloomError('EPORTTAKEN', `the UDP port ${origin.port} of ${name} is another program's`, {
        ...options,
        hint: `ss -lunp 'sport = ${origin.port}' shows whose; give the network another port`,
      });
    case 'EEXIST':
      return new NetloomError(
        'ECONFLICT',
        `${name}, or a VXLAN with the identifier ${origin.id} on UDP port ${origin.port}, is there already, and is not netloom's`,
        { ...options, hint: 'ip -d link show type vxlan shows whose; give the network another identifier or port' },
      );
  }
  return undefined;
}
