import { chainAdd, elementAdd, type NftSet, setAdd, tableAdd } from '../../../src/nftables/index.ts';
import type { Request } from '../../../src/netlink/index.ts';

const here = { family: 'inet', table: 't' } as const;

function withElements(set: NftSet, elements: Parameters<typeof elementAdd>[1]): Request[] {
  return [setAdd(set), ...elementAdd(set, elements)];
}

/** Scripts of nft, and our requests for the same. The captured batches are compared attribute by attribute. */
export const OBJECTS: Readonly<Record<string, readonly Request[]>> = {
  'add table inet t': [tableAdd({ family: 'inet', name: 't' })],
  'add table ip6 t { comment "hello"; }': [tableAdd({ family: 'ip6', name: 't', comment: 'hello' })],
  'add table inet t\nadd chain inet t plain { comment "c"; }': [
    tableAdd({ family: 'inet', name: 't' }),
    chainAdd({ ...here, name: 'plain', comment: 'c' }),
  ],
  'add table inet t\nadd chain inet t f { type filter hook forward priority filter; policy drop; }': [
    tableAdd({ family: 'inet', name: 't' }),
    chainAdd({ ...here, name: 'f', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } }),
  ],
  'add table inet t\nadd chain inet t n { type nat hook postrouting priority srcnat; policy accept; }': [
    tableAdd({ family: 'inet', name: 't' }),
    chainAdd({ ...here, name: 'n', base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' } }),
  ],
  'add table inet t\nadd chain inet t i { type filter hook ingress device lo priority -7; policy accept; }': [
    tableAdd({ family: 'inet', name: 't' }),
    chainAdd({
      ...here,
      name: 'i',
      base: { type: 'filter', hook: 'ingress', device: 'lo', priority: -7, policy: 'accept' },
    }),
  ],
  'add table inet t\nadd set inet t s { type ifname; comment "c"; }\nadd element inet t s { "br0", "br1" comment "e" }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      ...withElements({ ...here, name: 's', type: 'ifname', comment: 'c' }, [
        { key: 'br0' },
        { key: 'br1', comment: 'e' },
      ]),
    ],
  'add table inet t\nadd set inet t s { type ifname . ifname; }\nadd element inet t s { "a" . "b" }': [
    tableAdd({ family: 'inet', name: 't' }),
    ...withElements({ ...here, name: 's', type: ['ifname', 'ifname'] }, [{ key: { concat: ['a', 'b'] } }]),
  ],
  'add table inet t\nadd set inet t s { type ipv4_addr; flags interval; }\nadd element inet t s { 0.0.0.0/8, 10.0.0.0/8 comment "n", 192.168.0.1, 240.0.0.0/4 }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      ...withElements({ ...here, name: 's', type: 'ipv4_addr', flags: ['interval'] }, [
        { key: { prefix: { addr: '0.0.0.0', len: 8 } } },
        { key: { prefix: { addr: '10.0.0.0', len: 8 } }, comment: 'n' },
        { key: '192.168.0.1' },
        { key: { prefix: { addr: '240.0.0.0', len: 4 } } },
      ]),
    ],
  'add table inet t\nadd set inet t s { type mark; flags interval; }\nadd element inet t s { 0-5, 256-70000 }': [
    tableAdd({ family: 'inet', name: 't' }),
    ...withElements({ ...here, name: 's', type: 'mark', flags: ['interval'] }, [
      { key: { range: [0, 5] } },
      { key: { range: [256, 70_000] } },
    ]),
  ],
  'add table inet t\nadd set inet t s { type ipv4_addr; timeout 30s; gc-interval 5s; size 128; }\nadd element inet t s { 1.1.1.1 timeout 10s }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      ...withElements({ ...here, name: 's', type: 'ipv4_addr', timeout: 30, gcInterval: 5, size: 128 }, [
        { key: '1.1.1.1', timeout: 10 },
      ]),
    ],
  'add table inet t\nadd set inet t s { type ipv4_addr; counter; }': [
    tableAdd({ family: 'inet', name: 't' }),
    setAdd({ ...here, name: 's', type: 'ipv4_addr', exprs: [{ name: 'counter', bytes: 0n, packets: 0n }] }),
  ],
  'add table inet t\nadd map inet t m { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\nadd element inet t m { 192.0.2.1 . tcp . 8080 comment "web" : 172.18.0.2 . 80 }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      ...withElements(
        { ...here, name: 'm', type: ['ipv4_addr', 'inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'] },
        [{ key: { concat: ['192.0.2.1', 'tcp', 8080] }, data: { concat: ['172.18.0.2', 80] }, comment: 'web' }],
      ),
    ],
  'add table inet t\nadd map inet t m { type ipv6_addr . inet_proto . inet_service : ipv6_addr; flags interval; }\nadd element inet t m { 2001:db8::1 . udp . 80-90 : fd00::2, 2001:db8::/64 . sctp . 5 : fd00::3 }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      ...withElements(
        {
          ...here,
          name: 'm',
          type: ['ipv6_addr', 'inet_proto', 'inet_service'],
          map: 'ipv6_addr',
          flags: ['interval'],
        },
        [
          { key: { concat: ['2001:db8::1', 'udp', { range: [80, 90] }] }, data: 'fd00::2' },
          { key: { concat: [{ prefix: { addr: '2001:db8::', len: 64 } }, 'sctp', 5] }, data: 'fd00::3' },
        ],
      ),
    ],
  'add table inet t\nadd chain inet t c\nadd map inet t m { type inet_service : verdict; }\nadd element inet t m { 80 : accept, 443 : jump c, 444 : goto c, 445 : drop }':
    [
      tableAdd({ family: 'inet', name: 't' }),
      chainAdd({ ...here, name: 'c' }),
      ...withElements({ ...here, name: 'm', type: 'inet_service', map: 'verdict' }, [
        { key: 80, data: { accept: null } },
        { key: 443, data: { jump: { target: 'c' } } },
        { key: 444, data: { goto: { target: 'c' } } },
        { key: 445, data: { drop: null } },
      ]),
    ],
};
