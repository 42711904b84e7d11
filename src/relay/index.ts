export { Relay, type RelayEntry, type RelayOptions } from './relay.ts';
