/** Docker's network and address drivers: the plugin protocol in front of the engine. */
export { createDockerDoor, type DockerDoorOptions, type DockerLog } from './server.ts';
export type { Scope } from './network-driver.ts';
