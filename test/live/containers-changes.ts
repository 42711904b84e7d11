import type { EndpointSpec, EngineApi } from '../../src/model/index.ts';

const A: EndpointSpec = { network: 'a', addresses: ['10.9.1.10', 'fd09:1::10'] };
const B: EndpointSpec = { network: 'b', addresses: ['10.9.2.10', 'fd09:2::10'] };

/** A change of a container `box` that the crash tests kill at every step. */
export interface ContainerChange {
  readonly networks: readonly EndpointSpec[];
  /** Of a container whose command has ended: its network is gone (`down`), still there (`ended`), or there again (`up`). */
  readonly from: 'up' | 'ended' | 'down';
  readonly run: (engine: EngineApi) => Promise<unknown>;
  /** What the next start of an engine makes of it. */
  readonly ends: 'down' | 'before' | 'after';
}

export const changes: Readonly<Record<string, ContainerChange>> = {
  start: {
    networks: [A],
    from: 'down',
    run: (engine) => engine.containerSpawnPlan('box', { foreground: true }),
    ends: 'down',
  },
  exited: { networks: [A, B], from: 'ended', run: (engine) => engine.containerExited('box'), ends: 'down' },
  connect: {
    networks: [A],
    from: 'up',
    run: (engine) => engine.networkConnect('box', { ...B, gatewayPriority: 1 }),
    ends: 'before',
  },
  disconnect: { networks: [A, B], from: 'up', run: (engine) => engine.networkDisconnect('box', 'a'), ends: 'after' },
};
