/** One code: which HTTP status it answers, and what it means, in one sentence. */
export interface ErrorRow {
  readonly status: 400 | 403 | 404 | 409 | 413 | 500 | 501 | 503 | 507;
  readonly meaning: string;
}
function rows<const Code extends string>(
  status: ErrorRow['status'],
  meanings: Readonly<Record<Code, string>>,
): Readonly<Record<Code, ErrorRow>> {
  const entries = Object.entries<string>(meanings).map(([code, meaning]) => [code, { status, meaning }] as const);
  return Object.fromEntries(entries) as Record<Code, ErrorRow>;
}

/**
 * Every code that netloom raises, and every errno that it lets through. The only place that knows HTTP status;
 * docs/errors.md is made of it (errors-doc.ts), and a test finds codes in src/ that have no row.
 */
export const ERROR_TABLE: Readonly<Record<string, ErrorRow>> = {
  ...rows(400, {
    EBADNAME: 'A name has a character, a length or a form that is not allowed.',
    EBADHOSTNAME: 'A hostname is not one: hostname(7).',
    EBADIFNAME: 'An interface name is not one: 15 bytes at most, no slash, no space.',
    EBADADDRESS: 'An address is not one, or cannot be given to a workload.',
    EBADMAC: 'A MAC address is not one, or is a group address.',
    EBADPREFIX: 'An address prefix is not one, or has bits set behind its length.',
    EBADSUBNET: 'The subnets of a network do not fit each other, the family or the driver.',
    EBADGATEWAY: 'The gateway is outside its subnet, or one of its reserved addresses.',
    EBADPARENT: 'The interface that macvlan or ipvlan is to be on top of is missing, or cannot carry endpoints.',
    EADDROUTSIDE: 'The address is outside every subnet of the network.',
    EBADPOOL: 'An address pool is not one.',
    EBADDRIVER: 'This release has no such driver.',
    EBADOPTION: 'The driver has no such option, or not that value of it.',
    EBADMODE: 'The network mode is unknown, or excludes something else that was asked.',
    EBADCHECK: 'The doctor has no such check.',
    EBADSIGNAL: 'There is no such signal: signal(7).',
    EBADPORT: 'A published port is not one.',
    EBADDNS: 'A DNS server, search domain or option is not one.',
    EBADHOST: 'An extra host is not name:address.',
    EBADCOMMAND: 'There is no command, or it cannot be run as written.',
    ECOMMAND: 'The command cannot be run: no permission, or no program.',
    ECOMMANDNOTFOUND: 'There is no such command.',
    EBADENV: 'An environment variable is not one.',
    EBADPATH: 'A path is not a whole one.',
    EBADNETNS: 'The path is not that of a network namespace.',
    EBADDURATION: 'A duration is not one.',
    EAMBIGUOUS: 'More than one id begins so.',
    EUSAGE: 'The command line is not what the command takes.',
    ECOMPOSE:
      'The Compose file says something wrong, or something that netloom cannot honour; each with file and line.',
    EENVFILE: 'The environment file cannot be read as one; with file and line.',
    EPROJECTNAME: 'The name of the Compose project is not allowed.',
    ENOTDIR: 'Something that is no directory stands where one belongs.',
    EDOCKER: "Docker's plugin protocol was not kept: a field is missing or of another type.",
    ECNI: 'A CNI runtime asked for what the specification does not allow; the answer has its own number.',
    EBADREQUEST: 'The request is not what the API describes: a field of the wrong type, an unknown field, no JSON.',
    EINVAL: 'A value is not allowed, or the kernel refused an argument.',
    ENAMETOOLONG: 'A name is longer than the kernel or netloom allows.',
    EADDRNOTAVAIL: 'The address is not one of this host.',
    ERANGE: 'A number is outside what is allowed.',
    ENOTSOCK: 'Something that is not a socket stands where the socket belongs.',
  }),
  ...rows(403, {
    EACCES: 'The user may not do this.',
    EPERM: 'The process lacks a privilege, usually CAP_NET_ADMIN or CAP_SYS_ADMIN.',
  }),
  ...rows(404, {
    ENETWORKNOTFOUND: 'There is no such network.',
    ECONTAINERNOTFOUND: 'There is no such container.',
    EENDPOINTNOTFOUND: 'There is no such endpoint.',
    EPOOLNOTFOUND: 'There is no such address pool.',
    EPORTNOTPUBLISHED: 'The workload does not publish that port.',
    ENOTCONNECTED: 'The container is not connected to that network.',
    ENOENT: 'A file, a namespace or a kernel object is not there.',
    ENODEV: 'The interface is not there.',
    ENXIO: 'The device is not there.',
    ESRCH: 'The process, the route or the rule is not there.',
    ENOROUTE: 'The API has no such path.',
  }),
  ...rows(409, {
    EPARENTBUSY: 'The parent is used by another network, in a way that excludes this one.',
    ENETWORKFULL: 'The network takes one endpoint alone, and has it.',
    ENOPUBLISH: 'No port can be published on a network of this kind.',
    ENAMETAKEN: 'The name is taken.',
    ECONFLICT: 'The kernel has something of that name that is not ours.',
    EBRIDGEFULL: 'The bridge has as many ports as the kernel gives one.',
    EADDRTAKEN: 'The address is taken: by another workload, the gateway, or somebody else.',
    EPORTTAKEN: 'The host port is taken: by another workload or by a listener of this host.',
    EIFNAMETAKEN: 'The workload has an interface of that name.',
    ESUBNETOVERLAP: 'The subnet overlaps that of another network.',
    EROUTEOVERLAP: 'The subnet would hide a route of this host.',
    EPREDEFINED: 'The name is that of a network that is always there.',
    EBUILTIN: 'The network is always there and cannot be changed.',
    ENETWORKINUSE: 'The network has endpoints.',
    EPOOLINUSE: 'The address pool has addresses that somebody has.',
    EENDPOINTINUSE: 'The endpoint belongs to a container.',
    EENDPOINTBUSY: 'The endpoint is being attached or detached.',
    EIMMUTABLE: 'Only a new network can have this.',
    EALREADYCONNECTED: 'The container is connected to that network already.',
    ECONTAINERRUNNING: 'The container runs.',
    ECONTAINERNOTRUNNING: 'The container does not run.',
    EDEPENDENCY: 'A service that others depend on did not come up.',
    EEXIST: 'The object is there already.',
    EADDRINUSE: 'The address or port is used by a listener.',
    EBUSY: 'The object is in use.',
    ENOTEMPTY: 'The object still holds others.',
    EDAEMONRUNNING: 'A daemon listens on that socket already.',
    ENEEDSDAEMON: 'Only a daemon can do this, since somebody must stay to look after it.',
  }),
  ...rows(413, {
    ETOOLARGE: 'The request is larger than the daemon reads.',
  }),
  ...rows(501, {
    ENOSHIM: 'The process shim is missing from this installation.',
    EUNSUPPORTED: 'The running kernel lacks a feature; the hint says since which version it exists.',
    ENOSYS: 'The running kernel lacks a system call.',
    EOPNOTSUPP: 'The kernel object does not support this.',
    EAFNOSUPPORT: 'The running kernel lacks the address family.',
    EPROTONOSUPPORT: 'The running kernel lacks the protocol.',
    ENOADDON: 'The native addon is missing from this installation.',
  }),
  ...rows(503, {
    ENETWORKBUSY: 'The network is being created or removed by another process.',
    ECONTAINERBUSY: 'The container is being created or removed by another process.',
    ESTOREBUSY: 'Another process holds the store for too long.',
    ESTORECLOSED: 'The store was closed while it was asked.',
    ESTOREBEHIND: 'Changes of the store went by faster than they were read.',
    EABORTED: 'Interrupted by the user.',
    ENODAEMON: 'No daemon listens on the socket.',
    EDAEMONLOST: 'The daemon went away before it answered; a change may have been made or not.',
    ESTOPPING: 'The daemon is stopping.',
    EAGAIN: 'Busy; the same request may succeed later.',
    ETIMEDOUT: 'It took too long.',
    EINTR: 'Interrupted; the same request may succeed later.',
    EDHCP: 'No DHCP server of the network gave or kept a lease; the message says what was heard.',
  }),
  ...rows(507, {
    EPOOLEXHAUSTED: 'No address, subnet or port is left in the pool.',
    ENOSPC: 'No space is left on the disk, or in a table of the kernel.',
    EDQUOT: "The user's disk quota is used up.",
    ENOMEM: 'The kernel has no memory for it.',
    ENOBUFS: 'The kernel has no buffer space for it.',
    EMFILE: 'The process has too many open files.',
    ENFILE: 'The system has too many open files.',
  }),
  ...rows(500, {
    ESTORECORRUPT: 'The file of the store is damaged.',
    ESTOREIO: 'The file of the store cannot be read or written.',
    ESTORETX: 'A bug in netloom: a transaction of the store was used wrongly.',
    ENEWERSTORE: 'The store was written by a newer netloom.',
    ESPAWN: 'The command cannot be started.',
    EBADMSG: 'A message of the kernel could not be read.',
    EBADPACKET: 'A packet of DHCP or neighbour discovery contradicts itself; it is left unanswered.',
    EBADVALUE: 'A bug in netloom, or in the caller of the library: nftables knows no such value.',
    EINTERNAL: 'A bug in netloom; the log of the daemon has the stack.',
    EBADANSWER: 'Whoever answers on the socket does not speak the API of netloom.',
    EIO: 'The disk failed to read or write.',
    EBADF: 'A bug in netloom: a descriptor was used after it was closed.',
  }),
};

/** Status of an answer that carries `code`; a code without a row is our own mistake. */
export function httpStatus(code: string): number {
  return ERROR_TABLE[code]?.status ?? 500;
}
