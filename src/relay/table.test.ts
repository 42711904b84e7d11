import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contains, type Ip, ipFromValue, makePrefix, network, parseIp, parsePrefix } from '../addr/index.ts';
import type { RelayTable } from '../kernel/index.ts';
import { type Behind, tableOf } from './table.ts';

/** As native/relay.c `relay_behind` and `relay_table` have it: the last interval that does not start beyond the address. */
function behind({ intervals4, intervals6, peers }: RelayTable, { family, value }: Ip): Buffer | undefined {
  const all = family === 4 ? intervals4 : intervals6;
  let peer = NOBODY;
  for (let i = 0; i < all.length; i += 3) if (((all[i]! << 64n) | all[i + 1]!) <= value) peer = all[i + 2]!;
  return peer === NOBODY ? undefined : Buffer.from(peers.subarray(Number(peer) * 28, Number(peer) * 28 + 28));
}
const NOBODY = 0xffff_ffff_ffff_ffffn;

/** By looking at all of them. */
function longest(entries: readonly Behind[], address: Ip): Behind | undefined {
  const holders = entries.filter(({ prefix }) => contains(prefix, address));
  return holders.toSorted((a, b) => b.prefix.length - a.prefix.length)[0];
}

function portOf(bytes: Buffer | undefined): number | undefined {
  return bytes?.readUInt16BE(2);
}

test('the longest prefix that holds an address has it; neighbours and nested ones, both families', () => {
  const ends: readonly (readonly [4 | 6, bigint])[] = [
    [4, 0xffff_ffffn],
    [6, (1n << 128n) - 1n],
  ];
  const prefix = fc
    .constantFrom(...ends)
    .chain(([family, most]) =>
      fc
        .tuple(fc.oneof(fc.bigInt(0n, most), fc.bigInt(0n, 15n), fc.bigInt(most - 15n, most)), fc.nat(128))
        .map(([value, length]) => network(makePrefix(ipFromValue(family, value), length % (family === 4 ? 33 : 129)))),
    );
  fc.assert(
    fc.property(
      fc.uniqueArray(prefix, { maxLength: 12, selector: ({ text }) => text }),
      fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
      (prefixes, peers) => {
        const entries = prefixes.map((one, i): Behind => ({
          prefix: one,
          address: parseIp(peers[i]! % 2 === 0 ? '192.0.2.1' : '2001:db8::1'),
          port: 1000 + peers[i]!,
        }));
        const table = tableOf(entries);
        for (const [family, most] of ends) {
          const edges = prefixes
            .filter((one) => one.family === family)
            .flatMap(({ first, last }) => [first - 1n, first, last, last + 1n]);
          for (const value of [0n, most, ...edges].filter((v) => v >= 0n && v <= most)) {
            const address = ipFromValue(family, value);
            assert.equal(portOf(behind(table, address)), longest(entries, address)?.port, address.text);
          }
        }
      },
    ),
  );
});

test('peers are as the kernel lays them out, each once, in the order of their bytes', () => {
  const at = (prefix: string, address: string, port: number): Behind => ({
    prefix: parsePrefix(prefix),
    address: parseIp(address),
    port,
  });
  const { peers, intervals4 } = tableOf([
    at('10.2.0.0/16', '2001:db8::1', 8285),
    at('10.1.0.0/16', '192.0.2.7', 8285),
    at('fd00::/64', '192.0.2.7', 8285),
  ]);
  const [v4, v6] = [peers.subarray(0, 28), peers.subarray(28)];
  assert.equal(Buffer.from(v4).toString('hex'), `0200205dc0000207${'00'.repeat(20)}`);
  assert.equal(Buffer.from(v6).toString('hex'), `0a00205d0000000020010db8${'00'.repeat(11)}0100000000`);
  assert.deepEqual([...intervals4], [0n, 0x0a01_0000n, 0n, 0n, 0x0a02_0000n, 1n, 0n, 0x0a03_0000n, NOBODY]);
  assert.deepEqual([...tableOf([at('0.0.0.0/0', '192.0.2.7', 1)]).intervals4], [0n, 0n, 0n], 'there is nothing beyond');
});
