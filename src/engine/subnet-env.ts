import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePrefix } from '../addr/index.ts';
import type { Network } from '../model/index.ts';
import type { Paths } from './paths.ts';

/** Where what this host has of a network is written for other programs, in flannel's words. */
export function subnetEnvPath({ runDir }: Paths, { name }: Pick<Network, 'name'>): string {
  return join(runDir, 'overlay', name, 'subnet.env');
}

/**
 * Writes `subnet.env` as flannel does, for those that read it: FLANNEL_SUBNET is the gateway with the length of the prefix.
 * Only for networks of which each host has a prefix.
 */
export function writeSubnetEnv(paths: Paths, network: Network): void {
  const { overlay, options } = network;
  if (overlay?.plan !== 'node' || options.driver !== 'bridge') return;
  const of = (family: 4 | 6): readonly string[] => {
    const range = overlay.ranges.find((each) => parsePrefix(each).family === family);
    const own = network.subnets.find(({ subnet }) => parsePrefix(subnet).family === family);
    const word = family === 4 ? '' : 'IPV6_';
    if (range === undefined || !own) return [];
    return [
      `FLANNEL_${word}NETWORK=${range}`,
      `FLANNEL_${word}SUBNET=${own.gateway}/${parsePrefix(own.subnet).length}`,
    ];
  };
  const lines = [...of(4), ...of(6), `FLANNEL_MTU=${options.mtu}`, `FLANNEL_IPMASQ=${options.masquerade}`];
  const path = subnetEnvPath(paths, network);
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 });
  writeFileSync(`${path}.new`, `${lines.join('\n')}\n`);
  renameSync(`${path}.new`, path);
}

export function removeSubnetEnv(paths: Paths, network: Pick<Network, 'name'>): void {
  rmSync(join(subnetEnvPath(paths, network), '..'), { recursive: true, force: true });
}
