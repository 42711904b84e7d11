import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import type { JoinSpec } from '../model/index.ts';
import type { EtcdStoreOptions } from '../store/index.ts';
import type { Paths } from './paths.ts';

/** What a host keeps of the cluster that it is in: as it was asked, and who it is. Survives a reboot. */
export interface ClusterConfig extends JoinSpec {
  readonly name: string;
  /** Drawn at the first join; another host by the same name has another. */
  readonly id: string;
  /** ISO 8601. */
  readonly joined: string;
}

/** Undefined: the host is in no cluster. */
export function readClusterConfig(paths: Paths): ClusterConfig | undefined {
  if (!existsSync(pathOf(paths))) return undefined;
  try {
    return JSON.parse(readFileSync(pathOf(paths), 'utf8')) as ClusterConfig;
  } catch (error) {
    throw new NetloomError('EBADETCD', `${pathOf(paths)} cannot be read: ${String(error)}`, {
      hint: 'netloom node join writes it anew',
      cause: error,
    });
  }
}

/** Whole or not at all. @param config undefined: the host is in no cluster any more */
export function writeClusterConfig(paths: Paths, config: ClusterConfig | undefined): void {
  const path = pathOf(paths);
  if (!config) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(paths.stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/** @throws NetloomError EBADETCD naming the file that cannot be read */
export function storeOptionsOf(spec: JoinSpec): EtcdStoreOptions {
  const file = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new NetloomError('EBADETCD', `${path}: ${error instanceof Error ? error.message : String(error)}`, {
        hint: 'give the path of a file that the daemon may read',
        cause: error,
      });
    }
  };
  const { prefix, caFile, certFile, keyFile, username, passwordFile } = spec;
  return {
    endpoints: spec.etcd,
    ...(prefix !== undefined && { prefix: prefix.endsWith('/') ? prefix : `${prefix}/` }),
    ...(caFile !== undefined && { ca: file(caFile) }),
    ...(certFile !== undefined && { cert: file(certFile) }),
    ...(keyFile !== undefined && { key: file(keyFile) }),
    ...(username !== undefined && { user: username }),
    ...(passwordFile !== undefined && { password: file(passwordFile).split('\n')[0] ?? '' }),
  };
}

function pathOf({ stateDir }: Paths): string {
  return join(stateDir, 'cluster.json');
}
