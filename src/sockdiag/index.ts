/** NETLINK_SOCK_DIAG: the sockets of a namespace. @see sock_diag(7) */
export { boundSockets, type BoundSocket, parseSocket, socketDump, type SocketQuery } from './socket.ts';
