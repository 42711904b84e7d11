import type { EngineApi } from '../../src/model/index.ts';

/** A change of a container `box` that the crash tests kill at every step. */
export interface ContainerChange {
  /** From a container on network `a` that was started and is stopped (`down`) or waits to be started (`up`). */
  readonly from: 'up' | 'down';
  readonly run: (engine: EngineApi) => Promise<unknown>;
}

export const changes: Readonly<Record<string, ContainerChange>> = {
  start: { from: 'down', run: (engine) => engine.containerSpawnPlan('box', { foreground: true }) },
  exited: { from: 'up', run: (engine) => engine.containerStop('box') },
  connect: { from: 'up', run: (engine) => engine.networkConnect('box', { network: 'b', gatewayPriority: 1 }) },
  disconnect: { from: 'up', run: (engine) => engine.networkDisconnect('box', 'a') },
};
