import { linkGet, parseLink, parseRoute, routeGet } from '../rtnetlink/index.ts';
import type { Core } from './core.ts';

/** Where packets for a next hop go: a gateway on our segment, or why they go nowhere. */
export type Hop = { readonly via: string } | { readonly why: string };

/** Next hops by the kernel's own routes: one that is not on our segment is reached by whoever leads to it. */
export class Hops {
  readonly #core: Core;
  readonly #known = new Map<string, Hop>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** The routes of the host may have changed. */
  forget(): void {
    this.#known.clear();
  }

  of(hop: string): Hop | undefined {
    return this.#known.get(hop);
  }

  /** Asks for those that are not known, in one go. @param dev the interface that packets of other hosts come in by */
  async learn(hops: Iterable<string>, dev: string): Promise<void> {
    const asked = [...new Set(hops)].filter((hop) => !this.#known.has(hop));
    if (asked.length === 0) return;
    using kernel = this.#core.kernel.scope();
    const [link, ...replies] = await kernel
      .rtnl('')
      .batch([linkGet({ name: dev }), ...asked.map((hop) => routeGet(hop))]);
    const message = link?.messages[0];
    if (!message) return;
    const { index } = parseLink(message);
    for (const [i, hop] of asked.entries()) {
      const answer = replies[i]?.messages[0];
      const route = answer && !replies[i]?.error ? parseRoute(answer) : undefined;
      if (!route) this.#known.set(hop, { why: `this host knows no way to next hop ${hop}` });
      else if (route.oif !== index) this.#known.set(hop, { why: `next hop ${hop} is not behind ${dev}` });
      else this.#known.set(hop, { via: route.gateway === '' ? hop : route.gateway });
    }
  }
}
