import { basename, dirname } from 'node:path';
import { NETNS_DIR } from '../kernel/index.ts';
import { shellWord } from '../nftables/index.ts';

export { shellWord as quote };

/** `ip`, or `ip -n NAME` for a namespace with a name, or `nsenter` for any other. */
export function ipIn(ns: string, tool: 'ip' | 'bridge' | 'tc' = 'ip'): string {
  if (ns === '') return tool;
  if (dirname(ns) === NETNS_DIR) return `${tool} -n ${shellWord(basename(ns))}`;
  return `nsenter --net=${shellWord(ns)} ${tool}`;
}

/** A command that knows no `-n`, run inside a namespace. */
export function runIn(ns: string, command: string): string {
  return ns === '' ? command : `nsenter --net=${shellWord(ns)} ${command}`;
}

/** How `ip link … netns X` names a namespace; the host's is the one that the shell itself is in. */
export function netnsName(ns: string): string {
  if (ns === '') return '$$';
  return dirname(ns) === NETNS_DIR ? shellWord(basename(ns)) : shellWord(ns);
}

/** ` in /run/netns/web`, or nothing for the host's: for sentences. */
export function placeOf(ns: string): string {
  return ns === '' ? '' : ` in ${ns}`;
}
