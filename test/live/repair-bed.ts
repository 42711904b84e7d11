import assert from 'node:assert/strict';
import type { Netns } from '../../src/kernel/index.ts';
import type { Endpoint, EngineEvent, PortSpec } from '../../src/model/index.ts';
import type { Victim } from '../fault/damages.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { until } from '../lib/wait.ts';

const PORT: PortSpec = { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 };
const RATES = { ingressRate: 500_000_000, egressRate: 500_000_000 };

export interface RepairBed extends EngineBed {
  readonly a: { readonly netns: Netns; readonly path: string; readonly endpoint: Endpoint };
  readonly bridge: string;
  readonly gateway: string;
  readonly gateway6: string;
  readonly victim: Victim;
  /** Everything as `ip` and `nft` see it: the host and the workload. */
  state(): Promise<unknown>;
  /** Does damage, and waits until everything is again as before. */
  heals(what: string, damage: () => Promise<unknown>): Promise<void>;
  /** Repairs and reclamations told of so far. */
  readonly events: EngineEvent[];
  /** Resolves with the first one that fits, told or still to come. */
  told(what: string, fits: (event: EngineEvent) => boolean): Promise<EngineEvent>;
}

/** A resident engine with a dual-stack network and one endpoint with a port. */
export async function makeRepairBed(): Promise<RepairBed> {
  const bed = await makeEngineBed({}, { resident: true });
  const { value: network } = await bed.engine.networkCreate({ name: 'web', ipv6: true, options: { icc: 'false' } });
  const workload = await bed.workload('a');
  const { value: endpoint } = await bed.engine.endpointAttach({
    network: 'web',
    netns: workload.path,
    ports: [PORT],
    ...RATES,
    tuning: {
      promisc: true,
      sysctls: { 'net.ipv4.ip_default_ttl': '63' },
      routes: [{ dst: '192.0.2.0/24', mtu: 1400 }],
      sourceRoutes: true,
    },
  });
  const events: EngineEvent[] = [];
  const listening = (async () => {
    for await (const event of bed.engine.events({ types: ['repair', 'gc', 'engine'] })) events.push(event);
  })();
  const state = (): Promise<unknown> => stateOf([bed.host.netns, workload.netns]);
  return {
    ...bed,
    a: { ...workload, endpoint },
    bridge: network.options.driver === 'bridge' ? network.options.bridge : '',
    gateway: network.subnets[0]?.gateway ?? '',
    gateway6: network.subnets[1]?.gateway ?? '',
    victim: {
      host: bed.host.netns,
      bridge: network.options.driver === 'bridge' ? network.options.bridge : '',
      gateway: `${network.subnets[0]?.gateway}/${network.subnets[0]?.subnet.replace(/.*\//, '')}`,
      workload: { ...endpoint, ...workload },
    },
    events,
    state,
    told: (what, fits) => until(what, () => events.find(fits)),
    async heals(what, damage) {
      const before = await state();
      await damage();
      let now: unknown;
      await until(`right again: ${what}`, async () => {
        now = await state();
        return JSON.stringify(now) === JSON.stringify(before);
      }).catch((error: unknown) => {
        assert.deepEqual(now, before, `${what}: ${String(error)}: ${JSON.stringify(events)}`);
      });
    },
    async [Symbol.asyncDispose]() {
      await bed[Symbol.asyncDispose]();
      await listening;
    },
  };
}
