import type { SharedEndpoint } from '../cluster/index.ts';
import { type PublishedPort, formatPort } from '../model/index.ts';
import type { Core } from './core.ts';
import { HostSockets } from './host-sockets.ts';
import type { Remote } from './overlay.ts';
import { hostClaimant } from './ports.ts';
import { servedFor } from './served-ports.ts';

/** An endpoint of another host as it is here, and which of its ports are left to the other nodes. */
export interface HereOf {
  readonly remote: Remote;
  /** Each with its reason. */
  readonly left: readonly string[];
}

/** What of an endpoint's ports is served here: what nobody has here, and as this host's firewall wants it. */
export async function servedHere(core: Core, endpoint: SharedEndpoint): Promise<HereOf> {
  const { ports = [], ...rest } = endpoint;
  if (ports.length === 0) return { remote: rest, left: [] };
  const sockets = new HostSockets(core.kernel.host);
  const free: PublishedPort[] = [];
  const left: string[] = [];
  for (const port of ports) {
    const reason = await core.store.read(async (tx) => {
      const local = await hostClaimant(tx, port);
      if (local) return `${local.workload} has it here`;
      const other = await servedFor(tx, port);
      return other && other.endpoint !== endpoint.id ? `${other.workload} has it` : '';
    });
    const held = reason === '' ? await sockets.firstHeld(port) : undefined;
    if (reason !== '') left.push(`${formatPort(port)}: ${reason}`);
    else if (held !== undefined) left.push(`${formatPort(port)}: another program has it here`);
    else free.push(port);
  }
  const served = await core.firewall.decide(core, endpoint, free);
  return { remote: { ...rest, ...(served.length > 0 && { ports: served }) }, left };
}
