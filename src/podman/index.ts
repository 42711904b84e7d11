export { type NetavarkCommand, parseCommand } from './command.ts';
export { NETAVARK_VERSION, runNetavark } from './netavark.ts';
export { runNetavarkPlugin } from './plugin.ts';
export { isPluginCall } from './words.ts';
