/** What can be changed while it is there: networks, and what endpoints publish and are limited to. */
export { containerUpdate, endpointUpdate } from './endpoint-update.ts';
export { networkUpdate } from './network-update.ts';
