export { bridgeDriver, bridgeOptions, defaultRoutes, objectOf } from './bridge.ts';
export type { Driver, PlanContext } from './driver.ts';
