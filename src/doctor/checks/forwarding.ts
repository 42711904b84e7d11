import { parsePrefix } from '../../addr/index.ts';
import type { Check, Result, View } from '../check.ts';
import { sysctl } from '../read.ts';

/** linux/rtnetlink.h RTPROT_RA */
const RTPROT_RA = 9;

/** Whether the host passes packets between its networks. */
export const forwarding: Check = {
  name: 'forwarding',
  about: 'whether the host passes packets on',
  run(view) {
    const host = view.kernel.netns('');
    const results: Result[] = [];
    for (const [family, name] of [
      [4, 'net.ipv4.ip_forward'],
      [6, 'net.ipv6.conf.all.forwarding'],
    ] as const) {
      const users = view.networks.filter((n) => outward(n) && n.subnets.some((s) => familyOf(s.subnet) === family));
      const value = sysctl(host, name);
      if (value === undefined || users.length === 0) continue;
      const evidence = [`${name} = ${value}`];
      if (value !== '0') results.push({ status: 'ok', summary: `the host forwards IPv${family}`, evidence });
      else
        results.push({
          status: 'failure',
          summary: `the host does not forward IPv${family}: nothing leaves ${namesOf(users)}, and no published port answers`,
          evidence,
          cure: [`sysctl -w ${name}=1`],
        });
    }
    return [...results, ...advertisements(view), ...reversePath(view)];
  },
};

/** A host that forwards IPv6 ignores router advertisements unless it is told to go on. */
function advertisements(view: View): Result[] {
  const host = view.kernel.netns('');
  if (sysctl(host, 'net.ipv6.conf.all.forwarding') !== '1') return [];
  const advertised = view.routes.filter((r) => r.family === 6 && r.protocol === RTPROT_RA && r.dst === '::/0');
  return advertised.flatMap((route): Result[] => {
    const name = view.links.find((l) => l.index === route.oif)?.name;
    const key = `net.ipv6.conf.${name?.replaceAll('.', '/')}.accept_ra`;
    const value = name === undefined ? undefined : sysctl(host, key);
    if (value !== '1') return [];
    return [
      {
        status: 'warning',
        summary: `the IPv6 default route by ${name} came by router advertisement, and a host that forwards ignores the next one`,
        evidence: [`${key} = 1`, `default via ${route.gateway} dev ${name} proto ra`],
        cure: [`sysctl -w ${key}=2`],
      },
    ];
  });
}

/** Strict reverse path filtering drops what comes in by another way than answers go out. */
function reversePath(view: View): Result[] {
  const host = view.kernel.netns('');
  const uplinks = new Set(view.routes.filter((r) => r.dst === '0.0.0.0/0' && r.oif !== 0).map((r) => r.oif));
  if (uplinks.size < 2) return [];
  const all = Number(sysctl(host, 'net.ipv4.conf.all.rp_filter') ?? 0);
  const strict = view.links.filter((l) => {
    const own = Number(sysctl(host, `net.ipv4.conf.${l.name.replaceAll('.', '/')}.rp_filter`) ?? 0);
    return uplinks.has(l.index) && Math.max(all, own) === 1;
  });
  if (strict.length === 0) return [];
  return [
    {
      status: 'warning',
      summary: `with several default routes, strict reverse path filtering on ${strict.map((l) => l.name).join(', ')} drops requests whose answers go another way`,
      evidence: strict.map((l) => `net.ipv4.conf.${l.name}.rp_filter (or all) = 1`),
      cure: strict.map((l) => `sysctl -w net.ipv4.conf.${l.name.replaceAll('.', '/')}.rp_filter=2`),
    },
  ];
}

function outward(network: View['networks'][number]): boolean {
  return network.options.driver === 'bridge' && !network.internal;
}
function namesOf(networks: View['networks']): string {
  return networks.map((n) => n.name).join(', ');
}
function familyOf(subnet: string): 4 | 6 {
  return parsePrefix(subnet).family;
}
