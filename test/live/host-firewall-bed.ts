/** A host with a firewall of its own, a workload behind published ports, and somebody else on its segment. */
import { readFileSync } from 'node:fs';
import type { EngineOptions } from '../../src/engine/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { type Endpoint, formatPort, parsePublish } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpServer, udpEcho } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';

/** How long silence is waited for, milliseconds. */
export const timeout: number = 500;
export const XTABLES: { readonly env: Record<string, string> } = { env: { XTABLES_LOCKFILE: '/dev/null' } };
/** A rule set as its program loads it. */
export const golden = (name: string): string =>
  readFileSync(new URL(`../golden/firewalls/${name}`, import.meta.url), 'utf8');
export const nft = (host: Netns, input: string): Promise<unknown> => okIn(host, ['nft', '-f', '-'], { input });
export const iptables = (host: Netns, ...rules: readonly string[]): Promise<unknown> =>
  okIn(host, ['sh', '-ec', rules.map((rule) => `iptables-nft ${rule}`).join('\n')], XTABLES);

/** A host whose firewall lets nothing in but ssh, as most are that have one. */
export const closed = (host: Netns): Promise<unknown> =>
  iptables(
    host,
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A INPUT -p tcp --dport 22 -j ACCEPT',
    '-P INPUT DROP',
  );

export interface Town extends AsyncDisposable {
  readonly bed: EngineBed;
  readonly host: Netns;
  /** A workload that answers on TCP port 80 and UDP port 53. */
  readonly web: { readonly netns: Netns; readonly path: string };
  publish(...ports: readonly string[]): Promise<{ readonly endpoint: Endpoint; readonly warnings: readonly string[] }>;
  /** From somebody else on the host's segment. */
  outside(port: number, address?: string): Promise<boolean>;
}

export async function town(options: EngineOptions = {}, ipv6 = false): Promise<Town> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed({ neighbour: true }, options));
  await bed.engine.networkCreate({ name: 'web', ...(ipv6 && { ipv6 }) });
  const web = await bed.workload('web');
  undo.use(await tcpServer(web.netns, '0.0.0.0', 80));
  if (ipv6) undo.use(await tcpServer(web.netns, '::', 80));
  undo.use(await udpEcho(web.netns, '0.0.0.0', 53));
  const kept = undo.move();
  const { neighbour, netns: host } = bed.host;
  return {
    bed,
    host,
    web,
    async publish(...ports) {
      const { value, warnings = [] } = await bed.engine.endpointAttach({
        netns: web.path,
        network: 'web',
        ports: ports.map(parsePublish),
      });
      return { endpoint: value, warnings };
    },
    outside: async (port, address = ADDRESS.host) => (await tcpConnect(neighbour, address, port, { timeout })).ok,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export const denied = ({ ports }: Endpoint): string[] => ports.filter((port) => port.denied === true).map(formatPort);
