import { readFileSync } from 'node:fs';

/** Tables of iptables' old interface, which are not in nf_tables and cannot be read rule by rule. */
export interface LegacyTables {
  /** `ip filter`, `ip6 nat`. */
  readonly tables: readonly string[];
  /** Only root of the machine may look. */
  readonly readable: boolean;
}

/**
 * Which tables the old interface has in a namespace: with those of iptables-nft beside them, two firewalls judge every
 * packet, and each tool shows one. @param procNet `/proc/net` of a process in that namespace
 */
export function legacyTables(procNet = '/proc/self/net'): LegacyTables {
  const tables: string[] = [];
  let readable = true;
  for (const [family, file] of [
    ['ip', 'ip_tables_names'],
    ['ip6', 'ip6_tables_names'],
  ] as const) {
    try {
      const names = readFileSync(`${procNet}/${file}`, 'utf8').split('\n').filter(Boolean);
      tables.push(...names.map((name) => `${family} ${name}`));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') readable = false;
      else if (code !== 'ENOENT') throw error;
    }
  }
  return { tables, readable };
}
