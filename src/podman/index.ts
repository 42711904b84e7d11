export { type NetavarkCommand, parseCommand } from './command.ts';
export { failure, NETAVARK_VERSION, runNetavark } from './netavark.ts';
