import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../errors.ts';
import { NetlinkError } from '../netlink/index.ts';

/** How long the kernel may take over a namespace that is gone, milliseconds. */
const PATIENCE = 2000;

/**
 * Does something, and again while the kernel has the hardware address of an interface in use that went with its namespace:
 * it takes namespaces apart behind (net/core/net_namespace.c cleanup_net), and until then a macvlan holds its address on the
 * parent. Whatever is refused must have been taken back.
 */
export async function whileLingering<T>(body: () => Promise<T>): Promise<T> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await body();
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      const lingers = hasCode(error, 'EADDRINUSE') && cause instanceof NetlinkError;
      if (!lingers || performance.now() > end) throw error;
      await sleep(20);
    }
  }
}
