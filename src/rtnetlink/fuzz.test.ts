import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fuzzCases } from '../../test/lib/dice.ts';
import { MalformedError, type NlMessage, NlWriter, type Request } from '../netlink/index.ts';
import * as rtnl from './index.ts';

const PARSERS: readonly (readonly [type: number, header: number, parse: (m: NlMessage) => unknown])[] = [
  [rtnl.RTM.NEWLINK, 16, rtnl.parseLink],
  [rtnl.RTM.NEWLINK, 16, rtnl.parseLinkStats],
  [rtnl.RTM.NEWADDR, 8, rtnl.parseAddress],
  [rtnl.RTM.NEWROUTE, 12, rtnl.parseRoute],
  [rtnl.RTM.NEWRULE, 12, rtnl.parseRule],
  [rtnl.RTM.NEWNEIGH, 12, rtnl.parseNeighbour],
  [rtnl.RTM.NEWNEIGH, 12, rtnl.parseFdb],
  [rtnl.RTM.NEWNSID, 4, rtnl.parseNsid],
];
const TYPES = [...new Set(PARSERS.map(([type]) => type))].flatMap((type) => [type, type + 1]);

/** Only MalformedError may come out, whatever goes in. */
function survives(parse: (m: NlMessage) => unknown, type: number, payload: Uint8Array): void {
  try {
    parse({ type, flags: 0, seq: 0, pid: 0, payload });
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
}

/** Attributes that nest as real ones do, with types and lengths that are mostly possible. */
const { attribute } = fc.letrec<{ attribute: Uint8Array }>((tie) => ({
  attribute: fc
    .tuple(
      fc.nat(64),
      fc.oneof(
        fc.uint8Array({ maxLength: 24 }),
        fc
          .constantFrom('bridge', 'vxlan', 'gre', 'vlan', 'macvlan', 'veth', 'sit', 'nosuch')
          .map((s): Uint8Array => Buffer.from(s)),
        fc.array(tie('attribute'), { maxLength: 5 }).map((list): Uint8Array => Buffer.concat(list)),
      ),
      fc.integer({ min: -2, max: 12 }).map((n) => (n > 2 ? 0 : n)),
    )
    .map(([type, value, lie]) => {
      const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
      bytes.writeUInt16LE(Math.max(0, 4 + value.length + lie), 0);
      bytes.writeUInt16LE(type, 2);
      bytes.set(value, 4);
      return bytes;
    }),
}));
const FAMILIES = [0, 2, 7, 10];

test('random bytes in every parser', () => {
  for (const [type, , parse] of PARSERS) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (payload) => survives(parse, type, payload)),
      { numRuns: fuzzCases(1500) },
    );
  }
});

test('random attributes in every parser', () => {
  for (const [type, header, parse] of PARSERS) {
    const payload = fc
      .tuple(
        fc.constantFrom(...FAMILIES),
        fc.uint8Array({ minLength: header - 1, maxLength: header - 1 }),
        fc.array(attribute, { maxLength: 12 }),
      )
      .map(([family, rest, attributes]) => Buffer.concat([Uint8Array.of(family), rest, ...attributes]));
    fc.assert(
      fc.property(payload, (bytes) => survives(parse, type, bytes)),
      { numRuns: fuzzCases(1500) },
    );
  }
});

/** Requests that look like what the kernel tells, with everything in them that nests or has a length of its own. */
const ADDRESSES = { local: '10.0.0.1', remote: '10.0.0.2' };
const WHOLE: readonly (readonly [parse: (m: NlMessage) => unknown, request: Request])[] = [
  [
    rtnl.parseLink,
    rtnl.linkAdd({ name: 'v0', mac: '02:00:00:00:00:01', info: { kind: 'veth', peer: { name: 'v1' } } }),
  ],
  [
    rtnl.parseLink,
    rtnl.linkAdd({ name: 'x0', info: { kind: 'vxlan', id: 5, portRange: { low: 1, high: 2 }, ...ADDRESSES } }),
  ],
  [rtnl.parseLink, rtnl.linkAdd({ name: 'l0', info: { kind: 'vlan', id: 5, gvrp: true, egressQos: [[1, 2]] } })],
  [rtnl.parseLink, rtnl.linkAdd({ name: 'm0', info: { kind: 'macvlan', macaddrs: ['02:00:00:00:00:01'] } })],
  [rtnl.parseLink, rtnl.linkAdd({ name: 'g0', info: { kind: 'gre', ikey: 5, ...ADDRESSES } })],
  [
    rtnl.parseLink,
    rtnl.linkAdd({ name: 'b0', info: { kind: 'bridge', groupAddress: '02:00:00:00:00:01', ageing: 5 } }),
  ],
  [rtnl.parseLink, rtnl.linkSet({ index: 1 }, { addrGenMode: 'none', alias: 'x' })],
  [rtnl.parseLink, rtnl.linkSetPort({ index: 1 }, { hairpin: true, cost: 5, state: 'forwarding' })],
  [rtnl.parseAddress, rtnl.addressAdd({ index: 1, address: '10.0.0.1/8', peer: '10.0.0.2', label: 'a', valid: 5 })],
  [
    rtnl.parseRoute,
    rtnl.routeAdd({
      dst: '10.0.0.0/8',
      mtu: 5,
      nexthops: [{ gateway: '10.0.0.1' }, { gateway: 'fe80::1', weight: 2 }],
    }),
  ],
  [rtnl.parseRoute, rtnl.routeAdd({ dst: 'fd00::/8', gateway: 'fe80::1', oif: 1, table: 1000 })],
  [rtnl.parseRule, rtnl.ruleAdd({ from: '10.0.0.0/8', sport: { start: 1, end: 2 }, uidRange: { start: 1, end: 2 } })],
  [rtnl.parseNeighbour, rtnl.neighbourAdd({ index: 1, dst: 'fd00::1', lladdr: '02:00:00:00:00:01', managed: true })],
  [rtnl.parseFdb, rtnl.fdbAdd({ index: 1, mac: '02:00:00:00:00:01', dst: '10.0.0.1', port: 5, vni: 6 })],
  [rtnl.parseNsid, rtnl.nsidSet({ fd: 1 }, 5)],
];

test('whole messages, damaged', () => {
  for (const [parse, request] of WHOLE) {
    const writer = new NlWriter();
    request.body(writer);
    const whole = writer.finish().slice();
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.nat(whole.length), (places, length) => {
        const bytes = whole.slice();
        for (const [at, value] of places) bytes[at] = value;
        survives(parse, request.type, bytes);
        survives(parse, request.type, bytes.subarray(0, length));
      }),
      { numRuns: fuzzCases(1000) },
    );
  }
});

test('a nexthop without length, or with too much of it', () => {
  const writer = new NlWriter();
  rtnl.routeAdd({ dst: '10.0.0.0/8', nexthops: [{ gateway: '10.0.0.1' }, { gateway: '10.0.0.2' }] }).body(writer);
  const whole = writer.finish();
  const at = Buffer.from(whole).indexOf(Buffer.from([0x10, 0, 0, 0, 0, 0, 0, 0])); // the first: 16 bytes, no flags
  for (const length of [0, 7, 33, 0xff]) {
    const payload = whole.slice();
    payload[at] = length;
    const message = { type: rtnl.RTM.NEWROUTE, flags: 0, seq: 0, pid: 0, payload };
    assert.throws(() => rtnl.parseRoute(message), MalformedError, `${length}`);
  }
});

test('random messages as events', () => {
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), fc.uint8Array({ maxLength: 64 }), (type, payload) =>
      survives(rtnl.parseEvent, type, payload),
    ),
    { numRuns: fuzzCases(3000) },
  );
});
