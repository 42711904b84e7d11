import { readFileSync } from 'node:fs';
import { hasCode } from '../errors.ts';
import { type Netns, readProcNet, readSysctl } from '../kernel/index.ts';

/** The value of a parameter; undefined where this kernel, or this namespace, has none of that name. */
export function sysctl(netns: Netns, name: string): string | undefined {
  try {
    return readSysctl(netns, name);
  } catch (error) {
    if (hasCode(error, 'EUNSUPPORTED', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

/** A file's text without the white space at its ends; undefined where it cannot be read. */
export function file(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** A counter of `/proc/net/snmp`, such as `Tcp`, `InCsumErrors`; undefined where the kernel does not count it. */
export function snmp(netns: Netns, protocol: string, name: string): number | undefined {
  const [names, values] = readProcNet(netns, 'snmp')
    .split('\n')
    .filter((line) => line.startsWith(`${protocol}: `))
    .map((line) => line.split(' '));
  const at = names?.indexOf(name) ?? -1;
  return at > 0 ? Number(values?.[at]) : undefined;
}
