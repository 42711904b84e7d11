// runs: here and in the guest (every kind of link)
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { UnsupportedError } from '../../src/errors.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NetlinkError } from '../../src/netlink/index.ts';
import { type LinkSpec, linkAdd, Rtnl } from '../../src/rtnetlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { runIn } from '../lib/run.ts';
import { assertSame, MACS, make, PAIR, PAIR_IP } from './rtnetlink-state.ts';

// Kinds of links that many kernels lack. Where one is missing, ip and we must fail alike, and ours must say what is
// missing; in the guest (NETLOOM_TEST_GUEST=1), whose kernel has them all, a missing one is a failure.

checkDescriptors();

const GUEST = process.env['NETLOOM_TEST_GUEST'] === '1';
const mac = MACS[2];
const ENDS = { remote: '192.0.2.1', local: '10.0.0.1' } as const;
const ENDS_IP = 'remote 192.0.2.1 local 10.0.0.1';
const ENDS6 = { remote: 'fd00::2', local: 'fd00::1' } as const;

/** What `ip` asks for over IPv6 without being told: checksums, should there ever be UDP around it. */
const ENCAP6 = { encap: 'none', encapFlags: 2 } as const;

/** What `ip link add` is told, and what we are. */
const LINKS: readonly (readonly [ip: string, ours: (eth0: number) => LinkSpec])[] = [
  ['d0 address 02:00:00:00:00:0c type dummy', () => ({ name: 'd0', mac, info: { kind: 'dummy' } })],
  ['i0 address 02:00:00:00:00:0c type ifb', () => ({ name: 'i0', mac, info: { kind: 'ifb' } })],
  ['vrf0 address 02:00:00:00:00:0c up type vrf table 1000', () => ({ name: 'vrf0', mac, up: true, info: { kind: 'vrf', table: 1000 } })],
  ['xf0 type xfrm if_id 0x6e000001', () => ({ name: 'xf0', info: { kind: 'xfrm', ifId: 0x6e000001 } })],
  ['wg0 type wireguard', () => ({ name: 'wg0', info: { kind: 'wireguard' } })],
  ['vl0 link eth0 type vlan id 100', (link) => ({ name: 'vl0', link, info: { kind: 'vlan', id: 100 } })],
  [
    'vl0 link eth0 type vlan protocol 802.1ad id 100 reorder_hdr off gvrp on loose_binding on ingress-qos-map 1:2 3:4 egress-qos-map 5:6',
    (link) => ({
      name: 'vl0',
      link,
      info: {
        kind: 'vlan',
        protocol: '802.1ad',
        id: 100,
        reorderHdr: false,
        gvrp: true,
        looseBinding: true,
        ingressQos: [
          [1, 2],
          [3, 4],
        ],
        egressQos: [[5, 6]],
      },
    }),
  ],
  ['iv0 link eth0 type ipvlan mode l2', (link) => ({ name: 'iv0', link, info: { kind: 'ipvlan', mode: 'l2' } })],
  ['iv0 link eth0 type ipvlan mode l3 private', (link) => ({ name: 'iv0', link, info: { kind: 'ipvlan', mode: 'l3', flag: 'private' } })],
  ['iv0 link eth0 type ipvlan mode l3s vepa', (link) => ({ name: 'iv0', link, info: { kind: 'ipvlan', mode: 'l3s', flag: 'vepa' } })],
  [
    `t0 type ipip ${ENDS_IP} ttl 64 dev eth0`,
    (dev) => ({ name: 't0', info: { kind: 'ipip', ...ENDS, ttl: 64, dev, protocol: 0 } }),
  ],
  [`t0 type ipip external`, () => ({ name: 't0', info: { kind: 'ipip', external: true, protocol: 0 } })],
  [`t0 type sit ${ENDS_IP} nopmtudisc`, () => ({ name: 't0', info: { kind: 'sit', ...ENDS, ttl: 0, pmtudisc: false, protocol: 0 } })],
  ['t0 type sit local 10.0.0.1 isatap', () => ({ name: 't0', info: { kind: 'sit', local: '10.0.0.1', isatap: true, ttl: 0, protocol: 0 } })],
  [
    `t0 type gre ${ENDS_IP} ttl 64 key 5 csum seq`,
    () => ({
      name: 't0',
      info: { kind: 'gre', ...ENDS, ttl: 64, ikey: 5, okey: 5, icsum: true, ocsum: true, iseq: true, oseq: true },
    }),
  ],
  [
    `t0 type gre ${ENDS_IP} ikey 5 okey 6 dev eth0 tos 16`,
    (dev) => ({ name: 't0', info: { kind: 'gre', ...ENDS, ikey: 5, okey: 6, dev, tos: 0x16 } }),
  ],
  [
    `t0 address ${mac} type gretap ${ENDS_IP} nopmtudisc ignore-df`,
    () => ({ name: 't0', mac, info: { kind: 'gretap', ...ENDS, pmtudisc: false, ignoreDf: true } }),
  ],
  [`t0 address ${mac} type gretap external`, () => ({ name: 't0', mac, info: { kind: 'gretap', external: true } })],
  [
    't0 type ip6gre remote fd00::2 local fd00::1 ttl 64 encaplimit 4',
    () => ({ name: 't0', info: { kind: 'ip6gre', ...ENDS6, ttl: 64, encapLimit: 4, ...ENCAP6 } }),
  ],
  [
    `t0 address ${mac} type ip6gretap remote fd00::2 local fd00::1 key 7 ttl 9 encaplimit 5`,
    () => ({ name: 't0', mac, info: { kind: 'ip6gretap', ...ENDS6, ikey: 7, okey: 7, ttl: 9, encapLimit: 5, ...ENCAP6 } }),
  ],
  [`t0 type vti ${ENDS_IP} key 9`, () => ({ name: 't0', info: { kind: 'vti', ...ENDS, ikey: 9, okey: 9 } })],
  [
    'br1 address 02:00:00:00:00:0c type bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 5 vlan_stats_enabled 1',
    () => ({
      name: 'br1',
      mac,
      info: { kind: 'bridge', vlanFiltering: true, vlanProtocol: '802.1ad', vlanDefaultPvid: 5, vlanStats: true },
    }),
  ],
]; // prettier-ignore

for (const [ip, spec] of LINKS) {
  test(`ip and we make the same: ${ip}`, async () => {
    const missing = await refusal(ip, spec);
    if (missing === undefined) {
      await assertSame({
        name: ip,
        ip: [...PAIR_IP, `link add ${ip}`],
        ours: [...PAIR, (index) => [linkAdd(spec(index('eth0')))]],
        linksOnly: true,
      });
      return;
    }
    const { kind } = spec(0).info;
    assert.ok(!GUEST, `the guest's kernel should have ${kind}: ${missing.ours.message}`);
    assert.notEqual(missing.ip, 0, `ip can make it, we cannot: ${missing.ours.message}`);
    assert.ok(missing.ours instanceof UnsupportedError, missing.ours.message);
    if (kind === 'bridge') {
      // bridges are everywhere; what may be missing is their VLAN filter
      assert.equal(missing.ours.feature, 'support for a setting of this bridge link');
    } else {
      assert.equal(missing.ours.feature, `link kind ${kind}`);
      assert.match(missing.ours.hint, /CONFIG_/);
    }
    assert.ok(missing.ours.cause instanceof NetlinkError);
  });
}

/** How it is refused, by `ip` (its status) and by us; undefined where this kernel can. */
async function refusal(
  ip: string,
  spec: (eth0: number) => LinkSpec,
): Promise<{ readonly ip: number; readonly ours: Error } | undefined> {
  using netns = Netns.create();
  await make(netns, PAIR);
  using rtnl = Rtnl.open(netns);
  try {
    await rtnl.link.add(spec((await rtnl.link.get('eth0')).index));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Error);
    return { ip: (await runIn(netns, ['ip', 'link', 'add', ...ip.split(' ')])).status, ours: error };
  }
}
