export { type CallObserver, type Lane, NETLINK, NetlinkConn, NLM_F, NLMSG, type Reply, type Request } from './conn.ts';
export { rememberDumps, sameRequest, writtenOnce } from './memo.ts';
export { NetlinkError } from './errors.ts';
export { type MonitorEvent, type MonitorOptions, NetlinkMonitor } from './monitor.ts';
export { MalformedError, messagesOf, NlAttrs, type NlMessage } from './reader.ts';
export { NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_TYPE_MASK, NlWriter } from './writer.ts';
