import type { CommandDef } from '../command.ts';
import { CNI_COMMANDS } from './cni.ts';
import { COMPOSE_COMMANDS } from './compose.ts';
import { CONTAINER_COMMANDS } from './container.ts';
import { ENDPOINT_COMMANDS } from './endpoint.ts';
import { LAB_COMMANDS } from './lab.ts';
import { NETWORK_COMMANDS } from './network.ts';
import { NODE_COMMANDS } from './node.ts';
import { POD_COMMANDS } from './pod.ts';
import { PODMAN_COMMANDS } from './podman.ts';
import { POOL_COMMANDS } from './pool.ts';
import { SYSTEM_COMMANDS } from './system.ts';
import { WATCH_COMMANDS } from './watch.ts';

/** The one table of verbs. */
export const COMMANDS: readonly CommandDef[] = [
  ...CONTAINER_COMMANDS,
  ...POD_COMMANDS,
  ...NETWORK_COMMANDS,
  ...ENDPOINT_COMMANDS,
  ...POOL_COMMANDS,
  ...NODE_COMMANDS,
  ...COMPOSE_COMMANDS,
  ...CNI_COMMANDS,
  ...PODMAN_COMMANDS,
  ...WATCH_COMMANDS,
  ...LAB_COMMANDS,
  ...SYSTEM_COMMANDS,
];
