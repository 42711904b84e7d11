import { test } from 'node:test';
import fc from 'fast-check';
import { MalformedError, type NlMessage } from '../netlink/index.ts';
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
        fc.constantFrom('bridge', 'vxlan', 'gre', 'vlan', 'macvlan', 'veth', 'sit', 'nosuch').map((s): Uint8Array => Buffer.from(s)),
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
      { numRuns: 1500 },
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
      { numRuns: 1500 },
    );
  }
});

test('random messages as events', () => {
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), fc.uint8Array({ maxLength: 64 }), (type, payload) =>
      survives(rtnl.parseEvent, type, payload),
    ),
    { numRuns: 3000 },
  );
});
