import { withoutLength } from '../addr/index.ts';
import type { EndpointCheck } from '../model/index.ts';
import { linkGet, parseLink } from '../rtnetlink/index.ts';
import { stepOf } from './change.ts';
import type { Core } from './core.ts';
import { looking, missing } from './diff.ts';
import type { KernelScope } from './kernel.ts';
import { ownerOf, rootsOf } from './put-right.ts';
import { findEndpoint } from './records.ts';
import { deathOf, loadSome, RULESET, type WantedObject } from './wanted.ts';

/**
 * What the kernel lacks of an endpoint, of its network and of the rule set, and what of it is otherwise than it should be;
 * what only follows from another fault is left out. Looks, and changes nothing. @throws NetloomError EENDPOINTNOTFOUND
 */
export async function endpointCheck(core: Core, ref: string): Promise<EndpointCheck> {
  const { endpoint, objects } = await core.store.read(async (tx) => {
    const found = await findEndpoint(tx, ref);
    return {
      endpoint: found,
      objects: await loadSome(tx, [RULESET, `network/${found.network}`, `endpoint/${found.id}`]),
    };
  });
  for (const object of objects) {
    const gone = deathOf(object);
    if (gone !== undefined) return { gone, faults: [], mac: '', mtu: 0 };
  }
  using kernel = core.kernel.scope();
  const wanted = objects.flatMap(({ facts }) => facts);
  const changes = await missing(looking(kernel, wanted), wanted);
  const owners = new Map(objects.flatMap((object) => object.facts.map((fact) => [fact, object] as const)));
  const faults = rootsOf(changes.map((change) => ({ change, object: ownerOf(change, owners) })));
  return {
    faults: faults.map(({ change, object }) => ({ ...stepOf(change), object: change.fact.object || nameOf(object) })),
    ...(await linkOf(kernel, endpoint.netns, endpoint.ifname)),
  };
}

function nameOf(object: WantedObject | undefined): string {
  return object === undefined ? '' : `${withoutLength(object.key)} ${object.name}`;
}

/** The interface as the kernel has it; nothing where it is not there. */
async function linkOf(kernel: KernelScope, ns: string, name: string): Promise<Pick<EndpointCheck, 'mac' | 'mtu'>> {
  const [reply] = await kernel.rtnl(ns).batch([linkGet({ name })], { lane: 'here' });
  const [answer] = reply?.messages ?? [];
  if (!answer) return { mac: '', mtu: 0 };
  const { mac, mtu } = parseLink(answer);
  return { mac, mtu };
}
