import type { DriverName, Network } from '../model/index.ts';
import { bridgeDriver } from './bridge.ts';
import type { Driver } from './driver.ts';
import { ipvlanDriver } from './ipvlan.ts';
import { macvlanDriver } from './macvlan.ts';

export {
  bridgeMac,
  bridgeOptions,
  bridgesOf,
  gatewayMode,
  isGuarded,
  nextShard,
  PORTS,
  shardFacts,
  SHARDS,
} from './bridge.ts';
export type { Driver, PlanContext } from './driver.ts';
export { BY_DEVICE, defaultRoutes, networkAlias, objectOf, optionsOf } from './inside.ts';
export { parentOf } from './parent.ts';

/** `host` and `none` are words rather than networks: nothing is attached to them, and they hold no kernel state. */
const nothing: Driver = {
  endpointType: 'veth',
  networkFacts: () => [],
  endpointFacts: () => [],
  gateways: () => [],
  whyNotPublished: () => 'is no network that a workload can be attached to',
  hostIfname: () => '',
  ownMac: () => false,
  capacity: () => 0,
};

/** Every driver, once. */
const DRIVERS: Readonly<Record<DriverName, Driver>> = {
  bridge: bridgeDriver,
  // what joins the hosts' bridges is src/overlay's
  overlay: bridgeDriver,
  macvlan: macvlanDriver,
  ipvlan: ipvlanDriver,
  host: nothing,
  none: nothing,
};

/** The driver that turns a network and its endpoints into facts. */
export function driverOf(network: Pick<Network, 'driver'>): Driver {
  return DRIVERS[network.driver];
}
export { bucketOf, rateFacts } from './rates.ts';
export { sourceTable, tuningFacts } from './tuning.ts';
