import { mkdirSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EngineBed } from './engine.ts';
import { runIn } from './run.ts';

const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

/** netavark's own program, as Debian has it: the oracle. */
export const REAL_NETAVARK = '/usr/lib/podman/netavark';

export interface NetavarkAnswer {
  readonly status: number;
  readonly json: unknown;
  readonly stderr: string;
}

/** A link by which the program is netavark. @returns its path */
export function linkNetavark(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const path = `${dir}/netavark`;
  symlinkSync(NETLOOM, path);
  return path;
}

/** One call of `program`, as Podman makes it. */
export async function callNetavark(
  bed: Pick<EngineBed, 'host' | 'paths' | 'dirs'>,
  program: string,
  words: readonly string[],
  input: object | string,
): Promise<NetavarkAnswer> {
  const options = ['--config', `${bed.dirs.root}/networks`, '--rootless=false', '--aardvark-binary=/nonexistent'];
  const { status, stdout, stderr } = await runIn(bed.host.netns, [program, ...options, ...words], {
    env: { NETLOOM_STATE_DIR: bed.paths.stateDir, NETLOOM_RUN_DIR: bed.paths.runDir },
    input: typeof input === 'string' ? input : JSON.stringify(input),
  });
  return { status, json: stdout === '' ? undefined : (JSON.parse(stdout) as unknown), stderr };
}

/** A network, as Podman defines one. */
export function podmanNetwork(name: string, more: object = {}): Readonly<Record<string, unknown>> {
  return {
    name,
    id: Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64),
    driver: 'bridge',
    network_interface: `${name}0`.slice(-15),
    created: '2026-11-21T10:00:00Z',
    subnets: [{ subnet: '10.89.0.0/24', gateway: '10.89.0.1' }],
    ipv6_enabled: false,
    internal: false,
    dns_enabled: true,
    ipam_options: { driver: 'host-local' },
    ...more,
  };
}

/** What Podman says of one container on networks. */
export function podmanRequest(
  container: string,
  networks: readonly (readonly [network: ReturnType<typeof podmanNetwork>, per: object])[],
  more: object = {},
): object {
  return {
    container_id: container,
    container_name: `name-${container}`,
    networks: Object.fromEntries(
      networks.map(([{ name }, per], i) => [name, { interface_name: `eth${i}`, aliases: [container], ...per }]),
    ),
    network_info: Object.fromEntries(networks.map(([network]) => [network['name'], network])),
    ...more,
  };
}
