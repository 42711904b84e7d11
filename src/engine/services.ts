import type { Sample } from '../metrics/index.ts';
import type { Bgp } from './bgp.ts';
import type { Core } from './core.ts';
import { Denials } from './denials.ts';
import { LeaseKeeping } from './dhcp-keeper.ts';
import { Machines } from './dhcp-responder.ts';
import { refreshAllHosts } from './hosts.ts';
import { Membership } from './membership.ts';
import { Names } from './names.ts';
import { Repair } from './repair.ts';
import type { FlannelNetworks } from './flannel-networks.ts';
import { followUplink } from './uplink.ts';

/** One thing that a resident engine does for as long as it lives. */
export interface Service extends AsyncDisposable {
  /** What of it is looked up at each scrape. */
  sample?(sample: Sample): void | Promise<void>;
}

/** What only a resident engine does. */
export class Services implements AsyncDisposable {
  readonly repair: Repair;
  readonly names: Names;
  readonly leases: LeaseKeeping;
  readonly membership: Membership;
  readonly bgp: Bgp;
  readonly flannel: FlannelNetworks;
  readonly #running: readonly Service[];
  #stack = new AsyncDisposableStack();

  private constructor(
    parts: Pick<Services, 'repair' | 'names' | 'leases' | 'membership' | 'bgp' | 'flannel'>,
    running: readonly Service[],
  ) {
    this.repair = parts.repair;
    this.names = parts.names;
    this.leases = parts.leases;
    this.membership = parts.membership;
    this.flannel = parts.flannel;
    this.bgp = parts.bgp;
    this.#running = running;
  }

  /** Begins all of it; whoever looks at `core.services` sees it from then on. */
  static async start(core: Core): Promise<Services> {
    await using stack = new AsyncDisposableStack();
    const repair = stack.use(await Repair.begin(core));
    const names = stack.use(await Names.begin(core));
    stack.use(await followUplink(core));
    stack.use(Denials.begin(core));
    const leases = stack.use(await LeaseKeeping.begin(core));
    const machines = stack.use(Machines.of(core));
    stack.use(await (await import('./relays.ts')).Relays.begin(core));
    const bgp = stack.use(await (await import('./bgp.ts')).Bgp.begin(core));
    const membership = stack.use(Membership.begin(core));
    const flannel = stack.use(await (await import('./flannel-networks.ts')).FlannelNetworks.begin(core));
    const services = new Services({ repair, names, leases, membership, bgp, flannel }, [
      repair,
      names,
      leases,
      machines,
      bgp,
    ]);
    core.services = services;
    // with the resolvers' addresses, which are known from here on
    await machines.start();
    await refreshAllHosts(core);
    stack.defer(async () => {
      // nobody answers from now on: the files have the names again
      core.services = undefined;
      await refreshAllHosts(core);
    });
    services.#stack = stack.move();
    return services;
  }

  async sample(sample: Sample): Promise<void> {
    for (const service of this.#running) await service.sample?.(sample);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
