import { type Fact } from '../facts/index.ts';
import { Netns, netnsId } from '../kernel/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import type { Tx } from '../store/index.ts';
import { removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import { forgetConnections } from './conntrack.ts';
import { exclusively } from './containers.ts';
import type { Core } from './core.ts';
import { factsOfEndpoint, forgetEndpoint, workloadOfContainer } from './endpoints.ts';
import { refreshHosts } from './hosts.ts';
import { membersOf } from './pods.ts';
import { stateOf } from './process.ts';
import { endpointsOf, findContainer, KEYS, putEndpoint, workloadOf } from './records.ts';
import { isUp, takeDown } from './sandbox.ts';
import type { WantedObject } from './wanted.ts';

/** Nothing was to be done, since somebody else has done it. */
class Superseded extends Error {}

/**
 * Gives back what an object holds whose namespace is gone: addresses, ports, links, elements. Nothing is touched in what
 * the path may lead to by now. A container whose command still runs keeps its namespace, which gets its name back.
 * @returns false where there was nothing to do (any more)
 */
export async function reclaim(core: Core, object: WantedObject, reason: string): Promise<boolean> {
  const container = object.container?.id ?? object.endpoint?.container ?? '';
  if (container !== '') return await reclaimContainer(core, container, reason);
  return object.endpoint ? await reclaimEndpoint(core, object.endpoint, reason) : false;
}

async function reclaimEndpoint(core: Core, { id }: Endpoint, reason: string): Promise<boolean> {
  let name = '';
  try {
    await change(core, undefined, async (tx): Promise<Decision<Endpoint>> => {
      const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
      if (endpoint?.phase !== 'ready' || isAlive(endpoint)) throw new Superseded();
      const network = await tx.get<Network>(KEYS.networks + endpoint.network);
      const workload = await workloadOf(tx, endpoint);
      const removing: Endpoint = { ...endpoint, phase: 'removing', owner: core.id };
      await putEndpoint(tx, removing, workload);
      name = `${endpoint.ifname} of ${workload.name}`;
      return {
        key: `endpoint/${endpoint.id}`,
        value: removing,
        changes: network ? removalOf(factsOfEndpoint(network, endpoint, workload).filter(onHost)) : [],
        // before its addresses can be leased again
        finish: () => forgetConnections(core, [endpoint]),
        async settle(tx: Tx) {
          await forgetEndpoint(tx, network, endpoint, workload);
          return removing;
        },
        revert: async (tx: Tx) => putEndpoint(tx, { ...removing, owner: '' }, workload),
      };
    });
  } catch (error) {
    if (error instanceof Superseded) return false;
    throw error;
  }
  tell(core, 'endpoint', id, name, reason);
  return true;
}

async function reclaimContainer(core: Core, ref: string, reason: string): Promise<boolean> {
  const done = await exclusively(core, ref, async (id) => {
    const { container, members, endpoints, up } = await core.store.read(async (tx) => {
      const container = await findContainer(tx, id);
      return {
        container,
        members: await membersOf(tx, container),
        endpoints: await endpointsOf(tx, workloadOfContainer(container)),
        up: await isUp(tx, container),
      };
    });
    if (container.phase !== 'ready' || !up || netnsId(container.netns) !== '') return undefined;
    const state = stateOf(core.paths, container);
    const states = [state, ...members.map((each) => stateOf(core.paths, each))];
    const living = states.find(({ status }) => status === 'running');
    if (living) {
      using netns = Netns.ofPid(living.pid);
      const ids = endpoints.map((e) => e.netnsId).filter((known) => known !== '');
      // a command that has gone to a namespace of its own tells nothing of ours
      if (ids.length > 0 && !ids.includes(netnsId(`/proc/${living.pid}/ns/net`))) return undefined;
      netns.pin(container.netns);
      core.meter.count('netloom_repairs_total', { kind: 'netns', verb: 'add' });
      core.events.publish({
        type: 'repair',
        action: 'add',
        id,
        name: `the network namespace ${container.netns}`,
        attributes: { kind: 'netns', object: `container ${container.name}`, cause: reason },
      });
      return undefined;
    }
    await takeDown(core, container, !(container.autoRemove && state.status !== 'created'));
    return { container, endpoints };
  }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === 'ECONTAINERNOTFOUND') return undefined;
    throw error;
  });
  if (!done) return false;
  await refreshHosts(
    core,
    done.endpoints.map((e) => e.network),
  );
  tell(core, 'container', done.container.id, done.container.name, reason);
  return true;
}

function tell(core: Core, kind: 'endpoint' | 'container', id: string, name: string, reason: string): void {
  core.meter.count('netloom_reclaimed_total', { kind });
  core.events.publish({ type: 'gc', action: 'reclaim', id, name: `${kind} ${name}`, attributes: { reason } });
}

function isAlive({ handOver, netns, netnsId: id }: Endpoint): boolean {
  // whoever found its interface gone has looked
  if (handOver) return false;
  const now = netnsId(netns);
  return now !== '' && (id === '' || id === now);
}

function onHost(fact: Fact): boolean {
  return fact.ns === '';
}
