export { runDaemon, type DaemonOptions } from './daemon.ts';
export { openLog, type Logger } from './log.ts';
