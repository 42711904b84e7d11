// runs: here in one mode (routers and their sockets)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BgpError } from '../../src/bgp/errors.ts';
import { decodeUpdate } from '../../src/bgp/update.ts';
import { concat, frameOf, of16, TYPE } from '../../src/bgp/wire.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { RawPeer } from '../lib/raw-peer.ts';
import { bird, frr, makeStreet, type Router, type RouterKind, wayIn } from '../lib/routers.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const [ORIGIN, PATH, HOP] = ['4001 01 00', '4002 06 0201 0000fdf2', '4003 04 c0000201'];
const GOOD = [ORIGIN, PATH, HOP];
const without = (each: string): string[] => GOOD.filter((one) => one !== each);

/** Attributes of an UPDATE of one prefix. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  'ORIGIN 3': [...without(ORIGIN), '4001 01 03'],
  'ORIGIN of two bytes': [...without(ORIGIN), '4001 02 0000'],
  'no ORIGIN': without(ORIGIN),
  'no AS_PATH': without(PATH),
  'no NEXT_HOP': without(HOP),
  'AS_PATH of an unknown segment': [...without(PATH), '4002 06 0901 0000fdf2'],
  'AS_PATH cut': [...without(PATH), '4002 06 0202 0000fdf2'],
  'AS_PATH with an empty segment': [...without(PATH), '4002 08 0201 0000fdf2 0200'],
  "another's AS first": [...without(PATH), '4002 06 0201 0000fdf3'],
  'NEXT_HOP of five bytes': [...without(HOP), '4003 05 c000020100'],
  'MED of two bytes': [...GOOD, '8004 02 0000'],
  'COMMUNITIES of three bytes': [...GOOD, 'c008 03 000000'],
  'ATOMIC_AGGREGATE with contents': [...GOOD, '4006 01 00'],
  'AGGREGATOR of three bytes': [...GOOD, 'c007 03 000000'],
  'ORIGIN twice': [...GOOD, '4001 01 02'],
  'wrong flags': [...without(ORIGIN), 'c001 01 00'],
  'an attribute beyond the end': [...GOOD, '8004 09 00'],
  'an unknown well-known attribute': [...GOOD, '4063 00'],
  'LOCAL_PREF from outside': [...GOOD, '4005 01 00'],
};

function update(
  attributes: readonly string[],
  third: number,
  nlri = `18 0a${third.toString(16).padStart(2, '0')} 00`,
): Uint8Array {
  const all = hex(attributes.join(''));
  return concat([of16(0, all.length), all, hex(nlri)]);
}
type Verdict = 'taken' | 'withdrawn' | 'reset';
function ours(body: Uint8Array): Verdict {
  const context = { internal: false, peerAs: 65010, as4: true, families: [4, 6] as const, extendedNextHop: false };
  try {
    return decodeUpdate(body, context).reached.length > 0 ? 'taken' : 'withdrawn';
  } catch (error) {
    assert.ok(error instanceof BgpError);
    return 'reset';
  }
}

const SHOW: Readonly<Record<string, string>> = { FRR: 'show bgp ipv4 unicast', BIRD: 'show route' };
/** What a router makes of an UPDATE for a prefix that it had by a good one. */
async function theirs(name: string, router: Router, host: Netns, there: Netns, body: Uint8Array): Promise<Verdict> {
  const gone = async (): Promise<boolean> =>
    !(await wayIn(there, '10.50.0.0/24')) && !(await wayIn(there, '10.60.0.0/24'));
  await until('nothing left of the case before', gone);
  await using peer = await RawPeer.session(host, '192.0.2.2');
  peer.send(frameOf(TYPE.UPDATE, update(GOOD, 50)));
  await until('the prefix', async () => await wayIn(there, '10.50.0.0/24'));
  peer.send(frameOf(TYPE.UPDATE, body));
  peer.send(frameOf(TYPE.UPDATE, update(GOOD, 60)));
  return await until('a verdict', async () => {
    if (peer.notification) return 'reset';
    if (!(await wayIn(there, '10.60.0.0/24'))) return undefined;
    // its table, since the kernel's may lag behind
    return (await router.ask(SHOW[name]!)).includes('10.50.0.0/24') ? 'taken' : 'withdrawn';
  });
}

/** Where a router does other than RFC 7606, or than we do where it leaves the choice; all else is judged alike. */
const DIFFERENT: Readonly<Record<string, Readonly<Record<string, Verdict>>>> = {
  FRR: {
    // a choice (RFC 4271 section 6.3), off by default in 8.4
    "another's AS first": 'taken',
    'an attribute beyond the end': 'reset',
    'ORIGIN twice': 'reset',
  },
  BIRD: {
    "another's AS first": 'taken',
    'an unknown well-known attribute': 'withdrawn',
  },
};

const ROUTERS: Readonly<Record<string, RouterKind>> = { FRR: frr, BIRD: bird };
for (const [name, make] of Object.entries(ROUTERS)) {
  test(`${name} judges malformed UPDATEs as we do, and lives`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    await using router = await make(there, street.dir, {
      ...{ asn: 65001, id: '192.0.2.2', networks: [], neighbours: [{ address: '192.0.2.1', asn: 65010 }] },
    });
    const judged: Record<string, Verdict> = {};
    const expected: Record<string, Verdict> = {};
    for (const [what, attributes] of Object.entries(CASES)) {
      const body = update(attributes, 50);
      expected[what] = DIFFERENT[name]?.[what] ?? ours(body);
      judged[what] = await theirs(name, router, host, there, body);
    }
    assert.deepEqual(judged, expected);
    assert.deepEqual(
      new Set(Object.values(CASES).map((each) => ours(update(each, 50)))),
      new Set(['taken', 'withdrawn', 'reset']),
    );
  });
}
