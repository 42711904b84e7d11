import { type Fact, factKey, kindOf, type KernelView } from '../facts/index.ts';
import type { Change } from './apply.ts';
import type { Core } from './core.ts';

/** What must be done so that the kernel holds `wanted`: additions and changes, in the order of `wanted`. */
export async function additions(core: Core, wanted: readonly Fact[]): Promise<Change[]> {
  using kernel = core.kernel.scope();
  return await missing(kernel, wanted);
}

export async function missing(kernel: KernelView, wanted: readonly Fact[]): Promise<Change[]> {
  const there = await readAll(kernel, wanted);
  const changes: Change[] = [];
  for (const fact of wanted) {
    const have = there.get(factKey(fact));
    if (!have) {
      changes.push({ verb: 'add', fact });
      continue;
    }
    const kind = kindOf(fact);
    if (kind.differences(fact, have).length === 0) continue;
    if (kind.change(fact, have)) changes.push({ verb: 'change', fact, have });
    else changes.push({ verb: 'delete', fact: have }, { verb: 'add', fact });
  }
  return changes;
}

/** What the kernel holds of the kinds, and in the namespaces, that `wanted` speaks of; ours only, by key. */
export async function readAll(kernel: KernelView, wanted: readonly Fact[]): Promise<Map<string, Fact>> {
  const groups = new Map<string, Fact[]>();
  for (const fact of wanted) {
    const group = `${fact.kind} ${fact.ns}`;
    const facts = groups.get(group) ?? [];
    facts.push(fact);
    groups.set(group, facts);
  }
  const there = new Map<string, Fact>();
  for (const facts of groups.values()) {
    const [first] = facts;
    if (!first) continue;
    for (const fact of await kindOf(first).read(kernel, first.ns, facts)) there.set(factKey(fact), fact);
  }
  return there;
}
