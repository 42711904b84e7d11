import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, Result, View } from '../check.ts';

/** What other engines call their bridges, and the beginnings of their chains' names. */
const ENGINES = [
  { name: 'Docker', bridge: /^(docker0|br-[0-9a-f]{12})$/, chain: /^DOCKER/, pid: '/run/docker.pid' },
  { name: 'CNI', bridge: /^(cni|cni-podman)\d+$/, chain: /^CNI-/, pid: '' },
  { name: 'netavark', bridge: /^podman\d+$/, chain: /^NETAVARK/, pid: '' },
  { name: 'flannel', bridge: /^(flannel\.\d+|cbr0)$/, chain: /^FLANNEL/, pid: '' },
  { name: 'Calico', bridge: /^(vxlan\.calico|tunl0)$/, chain: /^cali-/, pid: '' },
  { name: 'Cilium', bridge: /^cilium_/, chain: /^CILIUM_/, pid: '' },
  { name: 'kube-proxy', bridge: /^kube-ipvs0$/, chain: /^KUBE-/, pid: '' },
] as const;

/** CNI's host-local keeps a file for each address that it gave away. */
const HOST_LOCAL = '/var/lib/cni/networks';

/** What engines that are no longer there left behind; theirs to remove, or yours, never ours. */
export const leftovers: Check = {
  name: 'leftovers',
  about: 'links, namespaces and rules that other engines left behind',
  async run(view) {
    const results = [...links(view), ...namespaces(view), ...(await chains(view)), ...leases()];
    return results.length > 0 ? results : [{ status: 'ok', summary: 'no other engine left anything behind' }];
  },
};

function links(view: View): Result[] {
  const ours = new Set(view.networks.flatMap((n) => (n.options.driver === 'bridge' ? [n.options.bridge] : [])));
  const orphans = view.links.filter(
    (l) =>
      l.info?.kind === 'veth' &&
      l.master === 0 &&
      l.operState === 'lowerlayerdown' &&
      !view.addresses.some((a) => a.index === l.index) &&
      !view.endpoints.some((e) => e.hostIfname === l.name),
  );
  const idle = view.links.filter(
    (l) =>
      !ours.has(l.name) &&
      ENGINES.some(({ bridge }) => bridge.test(l.name)) &&
      !view.links.some((port) => port.master === l.index),
  );
  const results: Result[] = [];
  if (orphans.length > 0) {
    results.push({
      status: 'warning',
      summary: `${orphans.length} veth end${orphans.length === 1 ? '' : 's'} without a bridge, an address or a carrier`,
      evidence: orphans.map((l) => `${l.name} (index ${l.index})`),
      cure: orphans.map((l) => `ip link delete ${l.name}`),
    });
  }
  if (idle.length > 0) {
    results.push({
      status: 'info',
      summary: `bridges of other engines without a port: ${idle.map((l) => l.name).join(', ')}`,
      evidence: idle.map((l) => `${l.name} ${l.operState}`),
    });
  }
  return results;
}

/** Files below /run/netns that are no namespace any more: their mounts are gone. */
function namespaces(view: View): Result[] {
  const dead: string[] = [];
  for (const dir of new Set([view.netnsDir, '/run/docker/netns'])) {
    const nsfs = statSync('/proc/self/ns/net').dev;
    for (const name of list(dir)) {
      const found = statSync(join(dir, name), { throwIfNoEntry: false });
      if (found?.isFile() && found.dev !== nsfs) dead.push(join(dir, name));
    }
  }
  if (dead.length === 0) return [];
  return [
    {
      status: 'warning',
      summary: `${dead.length} name${dead.length === 1 ? '' : 's'} of network namespaces without a namespace behind`,
      evidence: dead,
      cure: dead.map((path) => `rm ${path}`),
    },
  ];
}

async function chains(view: View): Promise<Result[]> {
  const tables = await view.kernel.nft('').tables();
  const found = new Map<string, string[]>();
  for (const table of tables) {
    if (table.name === 'netloom') continue;
    for (const chain of await view.kernel.nft('').chains(table)) {
      const engine = ENGINES.find((e) => e.chain.test(chain.name));
      if (!engine || view.links.some((l) => engine.bridge.test(l.name))) continue;
      const lines = found.get(engine.name) ?? [];
      lines.push(`${table.family} ${table.name} ${chain.name}`);
      found.set(engine.name, lines);
    }
  }
  return [...found].map(([engine, lines]) => ({
    status: 'warning',
    summary: `${lines.length} chain${lines.length === 1 ? '' : 's'} of ${engine}, and no interface of it`,
    evidence: lines,
    cure: [
      `if ${engine} is no longer used here: iptables-save | grep -v '${lines[0]?.split(' ').at(-1)?.split('-')[0]}' | iptables-restore`,
    ],
  }));
}

function leases(): Result[] {
  return list(HOST_LOCAL).flatMap((network): Result[] => {
    const addresses = list(join(HOST_LOCAL, network)).filter((name) => /^[\d.]+$|:/.test(name));
    if (addresses.length < MANY) return [];
    return [
      {
        status: 'info',
        summary: `CNI's host-local holds ${addresses.length} addresses of "${network}"`,
        evidence: [join(HOST_LOCAL, network)],
      },
    ];
  });
}
/** Fewer leases than this are nothing to talk about. */
const MANY = 200;

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
