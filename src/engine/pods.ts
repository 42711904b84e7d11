import { NetloomError } from '../errors.ts';
import type { Container } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import { findContainer, KEYS } from './records.ts';

/** Where a pod's containers are found: `pods/<pod>/<container>`. */
export function memberKey({ mode, id }: Pick<Container, 'id' | 'mode'>): string | undefined {
  return mode.kind === 'container' ? `${KEYS.pods}${mode.container}/${id}` : undefined;
}

/** A container as it is recorded: one that is to run in a pod knows that pod by its id, whatever takes its name later. */
export async function joined<C extends Pick<Container, 'mode'>>(tx: ReadTx, container: C): Promise<C> {
  const { mode } = container;
  if (mode.kind !== 'container') return container;
  const lender = await findContainer(tx, mode.container);
  return lender.pod ? { ...container, mode: { kind: 'container', container: lender.id } } : container;
}

/** The containers that were made to run in a pod, the oldest first. */
export async function membersOf(tx: ReadTx, pod: Container): Promise<readonly Container[]> {
  if (!pod.pod) return [];
  const members: Container[] = [];
  for (const { key } of await tx.list(`${KEYS.pods}${pod.id}/`)) {
    const member = await tx.get<Container>(KEYS.containers + key.slice(key.lastIndexOf('/') + 1));
    if (member) members.push(member);
  }
  return members.sort((a, b) => a.created.localeCompare(b.created));
}

/** What a container is called on its networks; a pod has the names of its containers, too. */
export function namesOf(container: Container, aliases: readonly string[], members: readonly Container[]): string[] {
  return [...new Set([container.name, container.hostname, ...aliases, ...members.map(({ name }) => name)])];
}

/** @throws NetloomError EPOD */
export function requireCommand({ pod, name }: Container): void {
  if (!pod) return;
  throw new NetloomError('EPOD', `"${name}" is a pod: it has no command of its own`, {
    hint: `netloom run --pod ${name} COMMAND runs one in it`,
  });
}
