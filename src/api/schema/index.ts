import * as change from './change.ts';
import * as cluster from './cluster.ts';
import * as container from './container.ts';
import type { Named } from './define.ts';
import * as endpoint from './endpoint.ts';
import * as network from './network.ts';
import * as pool from './pool.ts';
import * as system from './system.ts';

export { change, cluster, container, endpoint, network, pool, system };
export type { Named } from './define.ts';

/** Every named schema: what the server registers and the OpenAPI document lists. */
export const definitions: readonly Named<unknown>[] = [
  endpoint,
  network,
  container,
  pool,
  cluster,
  change,
  system,
].flatMap((module) => Object.values<Named<unknown>>(module));
