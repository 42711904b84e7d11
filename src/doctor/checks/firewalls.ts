import { parseIp, parsePrefix } from '../../addr/index.ts';
import { OUR_TABLES } from '../../facts/index.ts';
import { type ForeignVerdict, hostSays, judge, legacyTables, pathsOf, readForeign } from '../../firewall/index.ts';
import { formatPort } from '../../model/index.ts';
import type { Check, Result, View } from '../check.ts';
import { sysctl } from '../read.ts';

/** Somewhere beyond the uplink: documentation addresses, which no rule is likely to name. @see RFC 5737, RFC 3849 */
const OUTSIDE = { 4: '198.51.100.1', 6: '2001:db8:ffff::1' } as const;

/** Whether other programs' rules let our packets through. Theirs are never changed: what would cure it is told. */
export const firewalls: Check = {
  name: 'foreign-drops',
  about: "other programs' firewall rules in the way of our packets",
  async run(view) {
    const conn = view.kernel.nft('');
    const foreign = await readForeign(conn, OUR_TABLES);
    const results: Result[] = [...denials(view, foreign)];
    for (const { object, verdict } of verdictsOf(view, foreign)) results.push(resultOf(object, verdict));
    for (const what of foreign.unread)
      results.push({
        status: 'unknown',
        summary: `${what}: not understood`,
        evidence: [what],
        cure: ['read it yourself'],
      });
    results.push(...mixed(foreign.tables.length), ...bridged(view));
    if (results.length > 0) return results;
    const count = foreign.tables.length;
    return [
      { status: 'ok', summary: `${count} table${count === 1 ? '' : 's'} of other programs, and none in our way` },
    ];
  },
};

function verdictsOf(
  view: View,
  foreign: Awaited<ReturnType<typeof readForeign>>,
): { readonly object: string; readonly verdict: ForeignVerdict }[] {
  const found: { object: string; verdict: ForeignVerdict }[] = [];
  for (const network of view.networks) {
    if (network.options.driver !== 'bridge' || network.internal) continue;
    const object = `network ${network.name}`;
    const endpoints = view.endpoints.filter((e) => e.network === network.id);
    for (const { subnet, gateway } of network.subnets) {
      const { family, address } = parsePrefix(subnet);
      const uplink = uplinkOf(view, family);
      if (uplink === undefined) continue;
      const own = endpoints
        .flatMap((e) => e.addresses.map((a) => parsePrefix(a).address))
        .find((a) => a.family === family);
      const published = endpoints
        .flatMap((e) => e.ports)
        .flatMap(({ protocol, containerPort, denied }) => (denied === true ? [] : [{ protocol, containerPort }]));
      const ways = { object, bridge: network.options.bridge, uplink, outside: OUTSIDE[family], gateway, published };
      for (const path of pathsOf({ ...ways, endpoint: (own ?? address).text })) {
        const verdict = judge(foreign, path);
        if (verdict.verdict !== 'accept') found.push({ object, verdict });
      }
    }
  }
  return found;
}

/** Published ports that are closed to the outside because the host's firewall refuses them, by what it says now. */
function denials(view: View, foreign: Awaited<ReturnType<typeof readForeign>>): Result[] {
  const results: Result[] = [];
  for (const { ports, network, ifname } of view.endpoints) {
    const object = `network ${view.networks.find(({ id }) => id === network)?.name ?? network}`;
    for (const port of ports) {
      if (port.denied !== true) continue;
      const family = parseIp(port.hostAddress).family;
      const uplink = uplinkOf(view, family) ?? '';
      const own = view.addresses
        .map(({ index, address }) => ({ index, address: parsePrefix(address).address }))
        .find(({ index, address }) =>
          parseIp(port.hostAddress).value === 0n
            ? address.family === family && view.links.some((link) => link.index === index && link.name === uplink)
            : address.text === port.hostAddress,
        );
      const says = hostSays(foreign, {
        uplink: view.links.find(({ index }) => index === own?.index)?.name ?? uplink,
        address: own?.address.text ?? OUTSIDE[family],
        protocol: port.protocol,
        port: port.hostPort,
      });
      results.push({
        status: 'info',
        object,
        summary: `${formatPort(port)} of ${ifname} is closed to the outside: the host's firewall refuses it`,
        evidence:
          says.presumed === 'drop' ? [placeOf(says)] : ['what refused it is gone, or speaks of a part of the range'],
        cure: [...says.remedy, 'or publish it with firewall=open'],
      });
    }
  }
  return results;
}

function placeOf({ table, chain, rule, handle }: ForeignVerdict): string {
  return `table ${table}, chain ${chain}: ${rule === undefined ? 'its policy' : `rule ${handle ?? ''} (${rule})`}`;
}

function resultOf(object: string, verdict: ForeignVerdict): Result {
  const { path, owner, remedy } = verdict;
  const evidence = [placeOf(verdict)];
  return verdict.verdict === 'drop'
    ? { status: 'failure', object, summary: `${owner} drops packets ${path}`, evidence, cure: remedy }
    : {
        status: 'unknown',
        object,
        summary: `whether ${owner} lets packets pass ${path} depends on more than can be seen`,
        evidence,
        cure: remedy,
      };
}

/** Two firewalls that each show their own half. */
function mixed(tables: number): Result[] {
  const { tables: legacy } = legacyTables();
  if (legacy.length === 0 || tables === 0) return [];
  return [
    {
      status: 'warning',
      summary:
        "rules of iptables' old interface beside nftables: both judge every packet, and each tool shows one of them",
      evidence: legacy.map((table) => `legacy table ${table}`),
      cure: ['move the old ones: iptables-legacy-save | iptables-nft-restore, then iptables-legacy -F'],
    },
  ];
}

/** Frames that stay on a bridge pass every IP rule, too. */
function bridged(view: View): Result[] {
  const value = sysctl(view.kernel.netns(''), 'net.bridge.bridge-nf-call-iptables');
  if (value !== '1' || !view.networks.some((n) => n.options.driver === 'bridge')) return [];
  return [
    {
      status: 'info',
      summary: 'frames between workloads of one bridge pass the host’s IP rules as well (br_netfilter)',
      evidence: ['net.bridge.bridge-nf-call-iptables = 1'],
      cure: ['where nobody needs it: sysctl -w net.bridge.bridge-nf-call-iptables=0'],
    },
  ];
}

function uplinkOf(view: View, family: 4 | 6): string | undefined {
  const route = view.routes.find((r) => r.family === family && parsePrefix(r.dst).length === 0 && r.oif !== 0);
  return view.links.find((l) => l.index === route?.oif)?.name;
}
