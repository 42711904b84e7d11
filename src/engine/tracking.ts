import { hasCode } from '../errors.ts';
import type { Network, Overlay } from '../model/index.ts';
import type { Core } from './core.ts';
import { overlayUpdate } from './network-update.ts';
import { KEYS } from './records.ts';
import { TAKING } from './shared-networks.ts';

/** The same, with what the host's firewall says by now of what its tunnels put around packets. */
export async function withTracking<O extends Overlay>(core: Core, overlay: O): Promise<O> {
  const { whyTracked: _, ...self } = overlay.self;
  const whyTracked = await core.firewall.whyTracked(core, overlay);
  return { ...overlay, self: { ...self, ...(whyTracked !== undefined && { whyTracked }) } };
}

/**
 * Networks of which the host's firewall says something else by now are changed.
 * @returns false where one was busy
 */
export async function judgeTracking(core: Core): Promise<boolean> {
  const networks = await core.store.read((tx) => tx.list<Network>(KEYS.networks));
  let done = true;
  for (const { value } of networks) {
    if (!(await changedIn(core, value))) continue;
    await core.turns.run(TAKING, async () => {
      const now = await core.store.read((tx) => tx.get<Network>(KEYS.networks + value.id));
      const changed = now && (await changedIn(core, now));
      if (!changed) return;
      try {
        await overlayUpdate(core, value.id, changed);
      } catch (error) {
        if (!hasCode(error, 'ENETWORKBUSY')) throw error;
        done = false;
      }
    });
  }
  return done;
}

/** What it is to be; undefined where the firewall says what it said before. */
async function changedIn(core: Core, { overlay, phase }: Network): Promise<Overlay | undefined> {
  if (!overlay || phase !== 'ready') return undefined;
  const now = await withTracking(core, overlay);
  return now.self.whyTracked === overlay.self.whyTracked ? undefined : now;
}
