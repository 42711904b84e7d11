import { rmSync } from 'node:fs';
import { Netns } from '../kernel/index.ts';
import { type Place, WIRE } from './place.ts';
import { endProcesses, removeMachine } from './sweep.ts';

/**
 * Takes away everything of a lab, whatever state it is in: processes, namespaces and with them every cable, files. The
 * record goes last, so that one that was interrupted can be done again. @throws NetloomError ENOLAB
 */
export async function labDown(place: Place, onStep: (text: string) => void = () => undefined): Promise<void> {
  using _lock = await place.lock();
  const { plan, old } = place.mustRead();
  const names = [...plan.machines, ...old].map(({ name }) => name);
  onStep(`ending ${names.join(', ')}`);
  await endProcesses(place, [...names, WIRE]);
  for (const name of names) removeMachine(place, name);
  Netns.unpin(place.netns(WIRE));
  rmSync(place.dir, { recursive: true, force: true, maxRetries: 3 });
}
