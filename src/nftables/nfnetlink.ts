import type { NlMessage, NlWriter, Request } from '../netlink/index.ts';
import { familyName, NFNL, NFPROTO, type NftFamily } from './constants.ts';

/** linux/netfilter/nfnetlink.h, struct nfgenmsg: the four bytes between a message's header and its attributes. */
export const NFGENMSG_SIZE = 4;

/** A request of the nf_tables subsystem. @param flags NLM_F_* without REQUEST and ACK */
export function nftRequest(
  type: number,
  flags: number,
  family: NftFamily | undefined,
  label: string,
  body: (writer: NlWriter) => void = () => {},
): Request {
  return {
    type: (NFNL.SUBSYS_NFTABLES << 8) | type,
    flags,
    label,
    body: (writer) => {
      nfgenmsg(writer, family === undefined ? 0 : NFPROTO[family], 0);
      body(writer);
    },
  };
}

/** The message that opens a transaction; with `genid` the kernel refuses it unless that is the rule set's generation. */
export function batchBegin(genid?: number): Request {
  return {
    type: NFNL.MSG_BATCH_BEGIN,
    flags: 0,
    label: genid === undefined ? 'NFNL_MSG_BATCH_BEGIN' : `NFNL_MSG_BATCH_BEGIN genid=${genid}`,
    body: (writer) => {
      nfgenmsg(writer, 0, NFNL.SUBSYS_NFTABLES);
      if (genid !== undefined) writer.u32be(NFNL.BATCH_GENID, genid);
    },
  };
}

/** The message that closes a transaction and commits it. */
export function batchEnd(): Request {
  return {
    type: NFNL.MSG_BATCH_END,
    flags: 0,
    label: 'NFNL_MSG_BATCH_END',
    body: (writer) => nfgenmsg(writer, 0, NFNL.SUBSYS_NFTABLES),
  };
}

/** Which NFT_MSG_* a message is; -1 for one of another subsystem. */
export function nftMessageType(message: NlMessage): number {
  return message.type >> 8 === NFNL.SUBSYS_NFTABLES ? message.type & 0xff : -1;
}

/** The family a message speaks of; undefined for one that has no tables. */
export function familyOf(message: NlMessage): NftFamily | undefined {
  return familyName(message.payload[0] ?? 0);
}

function nfgenmsg(writer: NlWriter, family: number, resource: number): void {
  writer.rawU8(family).rawU8(0).rawU16be(resource); // version is NFNETLINK_V0
}
