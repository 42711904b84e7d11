import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { native, type Netns } from '../kernel/index.ts';

/** Who listens where, as far as this process may see it. */
export interface Holder {
  /** `dnsmasq (pid 812)`; empty where the process is not to be seen. */
  readonly program: string;
  /** `0.0.0.0:53`, `[::]:53`. */
  readonly at: string;
}

/** Who holds a port that could not be bound; undefined where nobody is found. @see proc_net(5) */
export function findHolder(
  netns: Netns | undefined,
  protocol: 'udp' | 'tcp',
  address: string,
  port: number,
): Holder | undefined {
  const six = address.includes(':');
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // an IPv6 socket at :: may hold the IPv4 port as well
  for (const [file, family] of six ? [['6', 6] as const] : [['', 4] as const, ['6', 6] as const]) {
    for (const line of table(netns, `/proc/thread-self/net/${protocol}${file}`).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (!local.endsWith(wanted) || (protocol === 'tcp' && state !== LISTEN)) continue;
      const any = /^0+:/.test(local);
      if (!any && (family === 6) !== six) continue;
      const own = any ? (family === 6 ? '::' : '0.0.0.0') : address;
      const at = own.includes(':') ? `[${own}]:${port}` : `${own}:${port}`;
      return { program: programOf(inode), at };
    }
  }
  return undefined;
}

/** TCP_LISTEN, net/tcp_states.h */
const LISTEN = '0A';

function table(netns: Netns | undefined, path: string): string {
  try {
    return native.fileIn(netns?.fd ?? -1, path, undefined) ?? '';
  } catch {
    return '';
  }
}

function programOf(inode: string): string {
  const target = `socket:[${inode}]`;
  try {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (holds(pid, target)) return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
    }
  } catch {
    // gone meanwhile
  }
  return '';
}

function holds(pid: string, target: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === target;
      } catch {
        return false;
      }
    });
  } catch {
    return false; // not ours to see
  }
}
