export { builtProgram } from './built.ts';
export { acceptCaller, type Caller, listenForCallers, receiveFirst } from './caller.ts';
export {
  connectedUdpIn,
  Datagrams,
  mtuProbeIn,
  mtuProbeTo,
  neverCut,
  omitChecksum,
  serviceSocketIn,
  wantRoom,
  whenReadable,
} from './datagrams.ts';
export { ERRNO, errnoName } from './errno.ts';
export { Fd, openDescriptors } from './fd.ts';
export { FileLock } from './lock.ts';
export { bindMount, shareMounts, unmount } from './mount.ts';
export { type Native, native, SyscallError, syscall, typedError } from './native.ts';
export { Netns, NETNS_DIR, netnsId } from './netns.ts';
export {
  type BpfInstruction,
  type DeafPort,
  deafUdpIn,
  type PacketListener,
  PacketSocket,
  sourceAddressIn,
} from './packet.ts';
export { POLL, Poll } from './poll.ts';
export { randomBytes } from './random.ts';
export { bootId, isAlive, signalPid, startTime, waitPid } from './process.ts';
export { relaySocketIn, RelayThreads, type RelayCounters, type RelayTable } from './relay.ts';
export {
  readShimExit,
  readShimPid,
  SHIM_STATUS,
  shimArgs,
  type ShimEnter,
  type ShimExit,
  type ShimMount,
  shimPath,
  type ShimPid,
  type ShimRun,
} from './shim.ts';
export {
  type BindAddress,
  bindUdpIn,
  listenIn,
  type PortProbe,
  probePort,
  setHops,
  signTcp,
  tcpSocketIn,
} from './socket.ts';
export { readProcNet, readSysctl, sysctlPath, writeSysctl } from './sysctl.ts';
export { tunCreate, tunName, tunPersist, type TunOptions } from './tun.ts';
