/**
 * netloom as a library: the engine itself, in your process.
 *
 * ```ts
 * import { openEngine } from 'netloom';
 * await using engine = await openEngine();
 * const { value } = await engine.endpointAttach({ netns: '/run/netns/box', network: 'bridge' });
 * ```
 * The layers below are published beside it: `netloom/netlink`, `netloom/rtnetlink`, `netloom/nftables`,
 * `netloom/conntrack`, `netloom/kernel`, `netloom/addr`; a daemon is reached by `netloom/client`.
 */
export { Engine, type EngineOptions, openEngine } from './engine/index.ts';
export { hasCode, NetloomError, UnsupportedError } from './errors.ts';
export { Netns } from './kernel/index.ts';
export { formatPort, parsePublish } from './model/index.ts';
export type * from './model/index.ts';
export { VERSION } from './version.ts';
