import type { NlAttrs, NlWriter } from '../netlink/index.ts';
import { bool, Fields, oneOf, u16, u32, u8 } from './codec.ts';
import { IFLA_BRPORT } from './constants/index.ts';

/** linux/if_bridge.h BR_STATE_* */
export type PortState = 'disabled' | 'listening' | 'learning' | 'forwarding' | 'blocking';
const PORT_STATES: Readonly<Record<PortState, number>> = {
  disabled: 0,
  listening: 1,
  learning: 2,
  forwarding: 3,
  blocking: 4,
};
const STATE_NAMES = Object.keys(PORT_STATES) as PortState[];

/** What a bridge holds for one of its ports; names as in bridge(8). */
export interface BridgePort {
  readonly state?: PortState;
  readonly priority?: number;
  readonly cost?: number;
  /** A frame may leave by the port it came from. */
  readonly hairpin?: boolean;
  /** A BPDU disables the port. */
  readonly guard?: boolean;
  /** The port never becomes the root port. */
  readonly rootBlock?: boolean;
  readonly fastleave?: boolean;
  readonly learning?: boolean;
  /** Frames for unknown addresses go out here. */
  readonly flood?: boolean;
  readonly mcastFlood?: boolean;
  readonly bcastFlood?: boolean;
  readonly mcastToUnicast?: boolean;
  readonly multicastRouter?: number;
  readonly proxyarp?: boolean;
  readonly proxyarpWifi?: boolean;
  /** Answers ARP and ND from the neighbour table instead of flooding. */
  readonly neighSuppress?: boolean;
  readonly vlanTunnel?: boolean;
  /** Isolated ports reach only ports that are not. */
  readonly isolated?: boolean;
  /** Takes no frame from an address that is not in the FDB (since Linux 5.18). */
  readonly locked?: boolean;
  readonly groupFwdMask?: number;
  readonly backupPort?: number;
}

const fields = new Fields<BridgePort>([
  ['guard', IFLA_BRPORT.GUARD, bool],
  ['hairpin', IFLA_BRPORT.MODE, bool],
  ['fastleave', IFLA_BRPORT.FAST_LEAVE, bool],
  ['rootBlock', IFLA_BRPORT.PROTECT, bool],
  ['flood', IFLA_BRPORT.UNICAST_FLOOD, bool],
  ['mcastFlood', IFLA_BRPORT.MCAST_FLOOD, bool],
  ['bcastFlood', IFLA_BRPORT.BCAST_FLOOD, bool],
  ['mcastToUnicast', IFLA_BRPORT.MCAST_TO_UCAST, bool],
  ['multicastRouter', IFLA_BRPORT.MULTICAST_ROUTER, u8],
  ['learning', IFLA_BRPORT.LEARNING, bool],
  ['cost', IFLA_BRPORT.COST, u32],
  ['priority', IFLA_BRPORT.PRIORITY, u16],
  ['state', IFLA_BRPORT.STATE, oneOf(u8, PORT_STATES)],
  ['proxyarp', IFLA_BRPORT.PROXYARP, bool],
  ['proxyarpWifi', IFLA_BRPORT.PROXYARP_WIFI, bool],
  ['neighSuppress', IFLA_BRPORT.NEIGH_SUPPRESS, bool],
  ['vlanTunnel', IFLA_BRPORT.VLAN_TUNNEL, bool],
  ['isolated', IFLA_BRPORT.ISOLATED, bool],
  ['locked', IFLA_BRPORT.LOCKED, bool],
  ['groupFwdMask', IFLA_BRPORT.GROUP_FWD_MASK, u16],
  ['backupPort', IFLA_BRPORT.BACKUP_PORT, u32],
]);

export function writeBridgePort(w: NlWriter, port: BridgePort): void {
  fields.write(w, port);
}

/**
 * What a kernel does not speak of has the value that it behaves by. Ports are read by the thousand: hence no table here.
 * @param attrs IFLA_INFO_SLAVE_DATA or IFLA_PROTINFO
 */
export function readBridgePort(attrs: NlAttrs): Required<BridgePort> {
  const port: { -readonly [K in keyof BridgePort]-?: BridgePort[K] } = {
    state: 'disabled',
    priority: 0,
    cost: 0,
    hairpin: false,
    guard: false,
    rootBlock: false,
    fastleave: false,
    learning: true,
    flood: true,
    mcastFlood: true,
    bcastFlood: true,
    mcastToUnicast: false,
    multicastRouter: 1,
    proxyarp: false,
    proxyarpWifi: false,
    neighSuppress: false,
    vlanTunnel: false,
    isolated: false,
    locked: false,
    groupFwdMask: 0,
    backupPort: 0,
  };
  for (const a of attrs) {
    switch (a.type) {
      case IFLA_BRPORT.STATE:
        port.state = STATE_NAMES[a.u8()] ?? 'disabled';
        break;
      case IFLA_BRPORT.PRIORITY:
        port.priority = a.u16();
        break;
      case IFLA_BRPORT.COST:
        port.cost = a.u32();
        break;
      case IFLA_BRPORT.MODE:
        port.hairpin = a.u8() !== 0;
        break;
      case IFLA_BRPORT.GUARD:
        port.guard = a.u8() !== 0;
        break;
      case IFLA_BRPORT.PROTECT:
        port.rootBlock = a.u8() !== 0;
        break;
      case IFLA_BRPORT.FAST_LEAVE:
        port.fastleave = a.u8() !== 0;
        break;
      case IFLA_BRPORT.LEARNING:
        port.learning = a.u8() !== 0;
        break;
      case IFLA_BRPORT.UNICAST_FLOOD:
        port.flood = a.u8() !== 0;
        break;
      case IFLA_BRPORT.MCAST_FLOOD:
        port.mcastFlood = a.u8() !== 0;
        break;
      case IFLA_BRPORT.BCAST_FLOOD:
        port.bcastFlood = a.u8() !== 0;
        break;
      case IFLA_BRPORT.MCAST_TO_UCAST:
        port.mcastToUnicast = a.u8() !== 0;
        break;
      case IFLA_BRPORT.MULTICAST_ROUTER:
        port.multicastRouter = a.u8();
        break;
      case IFLA_BRPORT.PROXYARP:
        port.proxyarp = a.u8() !== 0;
        break;
      case IFLA_BRPORT.PROXYARP_WIFI:
        port.proxyarpWifi = a.u8() !== 0;
        break;
      case IFLA_BRPORT.NEIGH_SUPPRESS:
        port.neighSuppress = a.u8() !== 0;
        break;
      case IFLA_BRPORT.VLAN_TUNNEL:
        port.vlanTunnel = a.u8() !== 0;
        break;
      case IFLA_BRPORT.ISOLATED:
        port.isolated = a.u8() !== 0;
        break;
      case IFLA_BRPORT.LOCKED:
        port.locked = a.u8() !== 0;
        break;
      case IFLA_BRPORT.GROUP_FWD_MASK:
        port.groupFwdMask = a.u16();
        break;
      case IFLA_BRPORT.BACKUP_PORT:
        port.backupPort = a.u32();
        break;
    }
  }
  return port;
}
