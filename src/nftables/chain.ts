import { NlAttrs, NLA_F_NESTED, type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import { NF_HOOKS, NFT_MSG, type NftFamily, type NftHook } from './constants.ts';
import { familyOf, NFGENMSG_SIZE, nftRequest } from './nfnetlink.ts';
import { commentOf, commentUserdata, UDATA_COMMENT } from './userdata.ts';

/** A list of rules: hooked into the packet's path with `base`, called from other rules without. */
export interface NftChain {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly base?: NftBaseChain;
  readonly comment?: string;
  /** The kernel's number for it; only in what was read. */
  readonly handle?: bigint;
}

/** Where and when a base chain sees packets. @see nft(8) CHAINS */
export interface NftBaseChain {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: NftHook;
  /** Lower ones come first; -100 is `dstnat` and 100 `srcnat` in inet. */
  readonly priority: number;
  /** What becomes of a packet that no rule decides. */
  readonly policy: 'accept' | 'drop';
  /** Only for ingress and egress. */
  readonly device?: string;
}

/** What names a chain. */
export type NftChainName = Pick<NftChain, 'family' | 'table' | 'name'>;

/** linux/netfilter/nf_tables.h, enum nft_chain_attributes, nft_hook_attributes */
const NFTA_CHAIN = { TABLE: 1, HANDLE: 2, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7, FLAGS: 10, USERDATA: 12 } as const;
const NFTA_HOOK = { HOOKNUM: 1, PRIORITY: 2, DEV: 3, DEVS: 4 } as const;
const NFTA_DEVICE_NAME = 1;

/** linux/netfilter.h, NF_DROP and NF_ACCEPT */
const POLICY = ['drop', 'accept'] as const;

/** Adds the chain; no error where the same one is there already, unless `exclusive`. */
export function chainAdd(chain: NftChain, options?: { readonly exclusive?: boolean }): Request {
  const flags = NLM_F.CREATE | (options?.exclusive ? NLM_F.EXCL : 0);
  return nftRequest(NFT_MSG.NEWCHAIN, flags, chain.family, label('NEW', chain), (w) => {
    w.string(NFTA_CHAIN.TABLE, chain.table).string(NFTA_CHAIN.NAME, chain.name);
    const { base } = chain;
    if (base) {
      w.string(NFTA_CHAIN.TYPE, base.type);
      w.nest(NLA_F_NESTED | NFTA_CHAIN.HOOK, (hook) => {
        hook
          .u32be(NFTA_HOOK.HOOKNUM, hookNumber(chain.family, base.hook))
          .u32be(NFTA_HOOK.PRIORITY, base.priority >>> 0);
        if (base.device !== undefined) hook.string(NFTA_HOOK.DEV, base.device);
      });
      w.u32be(NFTA_CHAIN.POLICY, POLICY.indexOf(base.policy));
    }
    const userdata = commentUserdata(UDATA_COMMENT.chain, chain.comment);
    if (userdata) w.bytes(NFTA_CHAIN.USERDATA, userdata);
  });
}

/** Deletes the chain, which must be called from nowhere. The kernel answers ENOENT where there is none. */
export function chainDelete(chain: NftChainName): Request {
  return nftRequest(NFT_MSG.DELCHAIN, 0, chain.family, label('DEL', chain), (w) => {
    w.string(NFTA_CHAIN.TABLE, chain.table).string(NFTA_CHAIN.NAME, chain.name);
  });
}

/** Asks for all chains of a family: the kernel cannot ask for one table's only. */
export function chainDump(family?: NftFamily): Request {
  return nftRequest(NFT_MSG.GETCHAIN, NLM_F.DUMP, family, 'NFT_MSG_GETCHAIN');
}

/** Reads NFT_MSG_NEWCHAIN. @throws MalformedError */
export function decodeChain(message: NlMessage): NftChain {
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  const family = familyOf(message);
  const names = { table: '', name: '' };
  const optional: { comment?: string; handle?: bigint } = {};
  let type = '';
  let policy: 'accept' | 'drop' = 'accept';
  let hook: { hook: NftHook; priority: number; device?: string } | undefined;
  for (const a of attrs) {
    if (a.type === NFTA_CHAIN.TABLE) names.table = a.string();
    else if (a.type === NFTA_CHAIN.NAME) names.name = a.string();
    else if (a.type === NFTA_CHAIN.HANDLE) optional.handle = a.u64be();
    else if (a.type === NFTA_CHAIN.TYPE) type = a.string();
    else if (a.type === NFTA_CHAIN.POLICY) policy = POLICY[a.u32be()] ?? 'accept';
    else if (a.type === NFTA_CHAIN.HOOK) hook = decodeHook(a.nested(), family ?? 'inet');
    else if (a.type === NFTA_CHAIN.USERDATA) {
      const comment = commentOf(UDATA_COMMENT.chain, a.bytes());
      if (comment !== undefined) optional.comment = comment;
    }
  }
  if (!family) attrs.fail(`a chain of family ${message.payload[0]}`);
  attrs.throwIfMalformed();
  const base = hook && { type: type as NftBaseChain['type'], ...hook, policy };
  return { family: family!, ...names, ...(base && { base }), ...optional };
}

function decodeHook(attrs: NlAttrs, family: NftFamily): { hook: NftHook; priority: number; device?: string } {
  let number = 0;
  let priority = 0;
  let device: string | undefined;
  for (const a of attrs) {
    if (a.type === NFTA_HOOK.HOOKNUM) number = a.u32be();
    else if (a.type === NFTA_HOOK.PRIORITY) priority = a.u32be() | 0;
    else if (a.type === NFTA_HOOK.DEV) device = a.string();
    else if (a.type === NFTA_HOOK.DEVS) {
      for (const d of a.nested()) if (d.type === NFTA_DEVICE_NAME) device ??= d.string();
    }
  }
  const hook = Object.entries(hooksOf(family)).find(([, value]) => value === number)?.[0] as NftHook | undefined;
  if (hook === undefined) attrs.fail(`hook ${number} of family ${family}`);
  return { hook: hook ?? 'input', priority, ...(device !== undefined && { device }) };
}

function hooksOf(family: NftFamily): Readonly<Partial<Record<NftHook, number>>> {
  if (family === 'netdev') return NF_HOOKS.netdev;
  return family === 'arp' ? NF_HOOKS.arp : NF_HOOKS.inet;
}

function hookNumber(family: NftFamily, hook: NftHook): number {
  const number = hooksOf(family)[hook];
  if (number === undefined) throw new RangeError(`family ${family} has no hook ${hook}`);
  return number;
}

function label(verb: 'NEW' | 'DEL', chain: NftChainName): string {
  return `NFT_MSG_${verb}CHAIN ${chain.family} ${chain.table} ${chain.name}`;
}
