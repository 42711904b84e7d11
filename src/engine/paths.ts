import { NETNS_DIR } from '../kernel/index.ts';

/** Where the engine keeps what is not in the kernel. */
export interface Paths {
  /** Survives a reboot: definitions of networks. */
  readonly stateDir: string;
  /** Lives as long as the machine is up: endpoints, containers, locks, logs. */
  readonly runDir: string;
  /** Names of namespaces, shared with `ip netns`. */
  readonly netnsDir: string;
  /** `resolv.conf` and `hosts` per namespace, shared with `ip netns exec`. */
  readonly etcNetnsDir: string;
}

export const DEFAULT_PATHS: Paths = {
  stateDir: '/var/lib/netloom',
  runDir: '/run/netloom',
  netnsDir: NETNS_DIR,
  etcNetnsDir: '/etc/netns',
};
