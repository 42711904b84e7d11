import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contains, overlaps, parseIp, parsePrefix, prefixSize } from '../addr/index.ts';
import type { Prefix } from '../addr/index.ts';
import type { Occupied, Subnet } from '../model/index.ts';
import type { Entry, Tx } from '../store/store.ts';
import type { LeasingNetwork } from './index.ts';
import {
  DEFAULT_POOLS,
  addressSpace,
  chooseSubnet,
  forgetNetwork,
  leaseAddress,
  leaseAddresses,
  leaseKey,
  listLeases,
  parsePool,
  releaseAddress,
  ulaPool,
} from './index.ts';

/** A transaction over a sorted array: the contract without a file. Counts what the allocator asks. */
class MemoryTx implements Tx {
  readonly map = new Map<string, unknown>();
  keys: string[] | undefined;
  looked = 0;

  #sorted(): string[] {
    return (this.keys ??= [...this.map.keys()].sort());
  }
  /** Index of the first key not below `key`. */
  #at(key: string): number {
    const keys = this.#sorted();
    let low = 0;
    for (let high = keys.length; low < high;) {
      const middle = (low + high) >> 1;
      if (keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  get<T>(key: string): T | undefined {
    return this.map.get(key) as T | undefined;
  }
  list<T>(prefix: string, { start = prefix, limit = Infinity }: { start?: string; limit?: number } = {}): Entry<T>[] {
    const entries: Entry<T>[] = [];
    for (let i = this.#at(start > prefix ? start : prefix); entries.length < limit; i++) {
      const key = this.#sorted()[i];
      if (key === undefined || !key.startsWith(prefix)) break;
      entries.push({ key, value: this.map.get(key) as T });
    }
    this.looked += entries.length;
    return entries;
  }
  count(prefix: string): number {
    this.looked++;
    return this.#at(`${prefix}\u{10ffff}`) - this.#at(prefix);
  }
  create(key: string, value: unknown): void {
    assert.ok(!this.map.has(key), `${key} leased twice`);
    this.put(key, value);
  }
  put(key: string, value: unknown): void {
    if (!this.map.has(key)) this.keys = undefined;
    this.map.set(key, value);
  }
  delete(key: string): void {
    this.keys = undefined;
    this.map.delete(key);
  }
}

const net = (...subnets: Subnet[]): LeasingNetwork => ({ id: 'n1', name: 'web', subnets });
const occupied = (text: string, kind: Occupied['kind'] = 'route'): Occupied => ({
  kind,
  label: `x ${text}`,
  prefix: parsePrefix(text),
});

test('default pools: 3,840 networks of one /24 each', () => {
  const sizes = DEFAULT_POOLS.map(({ base, size }) => prefixSize(base) >> BigInt(32 - size));
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0n),
    3840n,
  );
  assert.equal(chooseSubnet(DEFAULT_POOLS, 4, []).text, '172.18.0.0/24');
});

test('the first subnet that overlaps nothing, holes first', () => {
  const choose = (...texts: string[]): string =>
    chooseSubnet(
      DEFAULT_POOLS,
      4,
      texts.map((text) => occupied(text)),
    ).text;
  assert.equal(choose('172.18.0.0/24'), '172.18.1.0/24');
  assert.equal(choose('172.18.1.0/24', '172.18.0.0/24', '172.18.3.0/24'), '172.18.2.0/24');
  assert.equal(choose('172.18.0.128/32'), '172.18.1.0/24');
  assert.equal(choose('172.16.0.0/12'), '192.168.0.0/24');
  assert.equal(choose('172.18.0.0/15', '172.20.5.0/24'), '172.20.0.0/24');
  assert.equal(choose('0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1'), '172.18.0.0/24');
});

test('no subnet left: what blocked each pool', () => {
  assert.throws(
    () => chooseSubnet(DEFAULT_POOLS, 4, [occupied('172.16.0.0/12'), occupied('192.168.0.0/16', 'network')]),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'EPOOLEXHAUSTED');
      for (const { base } of DEFAULT_POOLS) assert.ok(error.message.includes(base.text), error.message);
      assert.match(error.message, /172\.16\.0\.0\/12 of x/);
      return true;
    },
  );
  assert.throws(() => chooseSubnet(DEFAULT_POOLS, 6, []), { code: 'EPOOLEXHAUSTED' });
  assert.throws(() => parsePool('10.0.0.0/16', 8), { code: 'EBADPOOL' });
  assert.throws(() => parsePool('10.0.0.1/16', 24), { code: 'EBADPREFIX' });
});

test('IPv6: a /64 each out of one unique local /48', () => {
  const pool = ulaPool(Uint8Array.of(0x6e, 0x6c, 0x01, 0x02, 0x03));
  assert.equal(pool.base.text, 'fd6e:6c01:203::/48');
  assert.equal(chooseSubnet([pool], 6, [occupied('fd6e:6c01:203::/64')]).text, 'fd6e:6c01:203:1::/64');
});

test('chosen subnets: as a search of every candidate finds them', () => {
  const pool = parsePool('10.0.0.0/24', 28);
  const other = fc
    .tuple(fc.nat(1023), fc.integer({ min: 22, max: 32 }))
    .map(([offset, length]) => occupied(`10.0.${offset >> 8}.${offset & 255}/${length}`));
  fc.assert(
    fc.property(fc.array(other, { maxLength: 12 }), (others) => {
      let expected: string | undefined;
      for (let i = 0; i < 16 && expected === undefined; i++) {
        const candidate = parsePrefix(`10.0.0.${i * 16}/28`);
        if (!others.some(({ prefix }) => overlaps(prefix, candidate))) expected = candidate.text;
      }
      let found: string | undefined;
      try {
        found = chooseSubnet([pool], 4, others).text;
      } catch {}
      assert.equal(found, expected);
    }),
    { numRuns: 1000 },
  );
});

test('every address once, in order, then exhausted', async () => {
  const tx = new MemoryTx();
  const web = net({ subnet: '10.0.0.0/29', gateway: '10.0.0.1', auxAddresses: { router: '10.0.0.4' } });
  const got: string[] = [];
  for (let i = 0; i < 4; i++) got.push((await leaseAddress(tx, web, { endpoint: `e${i}` })).text);
  assert.deepEqual(got, ['10.0.0.2/29', '10.0.0.3/29', '10.0.0.5/29', '10.0.0.6/29']);
  await assert.rejects(leaseAddress(tx, web, { endpoint: 'e9' }), {
    code: 'EPOOLEXHAUSTED',
    message: /network web .*10\.0\.0\.0\/29/,
  });
  assert.equal(await releaseAddress(tx, web, '10.0.0.3/29', 'e2'), false, 'another endpoint’s');
  assert.equal(await releaseAddress(tx, web, '10.0.0.3/29', 'e1'), true);
  assert.equal(await releaseAddress(tx, web, '10.0.0.3', 'e1'), false, 'twice');
  assert.equal((await leaseAddress(tx, web, { endpoint: 'e9' })).text, '10.0.0.3/29');
});

test('an address given back rests until the others had their turn', async () => {
  const tx = new MemoryTx();
  const web = net({ subnet: '10.0.0.0/29', gateway: '10.0.0.1' });
  const got: string[] = [];
  for (let i = 0; i < 7; i++) {
    const address = await leaseAddress(tx, web, { endpoint: 'e' });
    got.push(address.address.text);
    await releaseAddress(tx, web, address.text, 'e');
  }
  assert.deepEqual(
    got.map((text) => text.slice(-1)),
    ['2', '3', '4', '5', '6', '2', '3'],
  );
});

test('what is reserved beside the subnets is handed out to nobody, and said to be that', async () => {
  const tx = new MemoryTx();
  const network: LeasingNetwork = {
    id: 'n1',
    name: 'web',
    subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1', ipRange: '10.0.0.8/30' }],
    reserved: new Map([
      ['10.0.0.9', 'lent to node b'],
      ['10.0.0.20', 'lent to node c'],
      ['fd00::9', 'lent to node b'],
    ]),
  };
  const given: string[] = [];
  await assert.rejects(
    async () => {
      for (;;) given.push((await leaseAddress(tx, network, { endpoint: 'e1' })).text);
    },
    { code: 'EPOOLEXHAUSTED' },
  );
  assert.deepEqual(given, ['10.0.0.8/24', '10.0.0.10/24', '10.0.0.11/24']);
  for (const [fixed, who] of [
    ['10.0.0.9', 'b'],
    ['10.0.0.20', 'c'],
  ] as const) {
    const message = `address ${fixed} of network web is taken: it is lent to node ${who}`;
    await assert.rejects(leaseAddress(tx, network, { endpoint: 'e2', fixed }), { code: 'EADDRTAKEN', message });
  }
});

test('fixed addresses', async () => {
  const tx = new MemoryTx();
  const web = net(
    { subnet: '10.0.0.0/24', gateway: '10.0.0.1', ipRange: '10.0.0.128/25', auxAddresses: { router: '10.0.0.9' } },
    { subnet: 'fd00::/64', gateway: 'fd00::1' },
  );
  const fixed = (text: string, endpoint = 'e1'): Promise<Prefix> =>
    leaseAddress(tx, web, { endpoint, owner: 'container db', fixed: text });
  assert.equal((await fixed('10.0.0.5')).text, '10.0.0.5/24');
  await assert.rejects(fixed('10.0.0.5', 'e2'), {
    code: 'EADDRTAKEN',
    message: /10\.0\.0\.5 of network web is taken: container db has it/,
  });
  await assert.rejects(fixed('10.0.0.1'), { code: 'EADDRTAKEN', message: /it is the gateway/ });
  await assert.rejects(fixed('10.0.0.9'), { code: 'EADDRTAKEN', message: /auxiliary address router/ });
  await assert.rejects(fixed('10.0.0.0'), { code: 'EADDRTAKEN', message: /network address/ });
  await assert.rejects(fixed('10.0.0.255'), { code: 'EADDRTAKEN', message: /broadcast/ });
  await assert.rejects(fixed('10.0.1.5'), { code: 'EADDROUTSIDE', message: /10\.0\.0\.0\/24, fd00::\/64/ });
  await assert.rejects(fixed('x'), { code: 'EBADADDRESS' });
  const pair = await leaseAddresses(tx, web, { endpoint: 'e3', fixed: ['fd00::7'] });
  assert.deepEqual(
    pair.map(({ text }) => text),
    ['10.0.0.128/24', 'fd00::7/64'],
    'automatic out of the range, fixed as given, IPv4 first',
  );
  assert.deepEqual(
    (await leaseAddresses(tx, web, { endpoint: 'e4' })).map(({ text }) => text),
    ['10.0.0.129/24', 'fd00::2/64'],
  );
  await assert.rejects(
    leaseAddresses(tx, net({ subnet: '10.0.0.0/24', gateway: '' }), { endpoint: 'e5', fixed: ['fd00::1'] }),
    { code: 'EADDROUTSIDE' },
  );
  assert.deepEqual(
    (await listLeases(tx, 'n1')).map(({ address, endpoint }) => `${address.text} ${endpoint}`),
    ['10.0.0.5 e1', '10.0.0.128 e3', '10.0.0.129 e4', 'fd00::2 e4', 'fd00::7 e3'],
  );
  await forgetNetwork(tx, 'n1');
  assert.equal(tx.map.size, 0);
});

test('lease keys sort as numbers', () => {
  const texts = ['10.0.0.2', '10.0.0.10', '9.0.0.1', '200.0.0.1', '2001::', '1::1', 'fd00::'].map(parseIp);
  const byKey = texts.map((ip) => ({ ip, key: leaseKey('n', ip) })).sort((a, b) => (a.key < b.key ? -1 : 1));
  assert.deepEqual(
    byKey.map(({ ip }) => ip.text),
    ['9.0.0.1', '10.0.0.2', '10.0.0.10', '200.0.0.1', '1::1', '2001::', 'fd00::'],
  );
});

test('a nearly full /16 is searched in a few hundred looks, wherever the hole is', async () => {
  const tx = new MemoryTx();
  const web = net({ subnet: '10.1.0.0/16', gateway: '10.1.0.1' });
  const base = parseIp('10.1.0.0').value;
  for (let i = 2n; i < 65535n; i++)
    tx.map.set(leaseKey('n1', { family: 4, value: base + i }), { endpoint: 'x', owner: 'x' });
  tx.keys = undefined;
  tx.put('cursors/n1/0', '10.1.0.1');
  for (const hole of ['10.1.0.2', '10.1.255.254', '10.1.128.0', '10.1.77.33']) {
    await releaseAddress(tx, web, hole, 'x');
    tx.looked = 0;
    assert.equal((await leaseAddress(tx, web, { endpoint: 'x' })).address.text, hole);
    assert.ok(tx.looked < 500, `${tx.looked} looks for ${hole}`);
  }
  tx.looked = 0;
  await assert.rejects(leaseAddress(tx, web, { endpoint: 'x' }), { code: 'EPOOLEXHAUSTED' });
  assert.ok(tx.looked < 500, `${tx.looked} looks for none`);
});

interface Model {
  /** Address to endpoint. */
  readonly held: Map<string, string>;
  next: number;
}
interface Real {
  readonly tx: MemoryTx;
  readonly network: LeasingNetwork;
  readonly usable: ReadonlySet<string>;
  readonly all: Prefix;
}
type Command = fc.AsyncCommand<Model, Real>;

const lease: Command = {
  check: () => true,
  toString: () => 'lease',
  run: async (model, { tx, network, usable, all }) => {
    const endpoint = `e${model.next++}`;
    const free = [...usable].filter((text) => !model.held.has(text));
    if (free.length === 0) {
      await assert.rejects(leaseAddress(tx, network, { endpoint }), { code: 'EPOOLEXHAUSTED' });
      return;
    }
    const { address } = await leaseAddress(tx, network, { endpoint });
    assert.ok(contains(all, address) && free.includes(address.text), `${address.text} is not one of ${free.join(' ')}`);
    model.held.set(address.text, endpoint);
  },
};
const fix = (offset: number): Command => ({
  check: () => true,
  toString: () => `fix(${offset})`,
  run: async (model, { tx, network }) => {
    const text = `10.0.0.${offset}`;
    const endpoint = `e${model.next++}`;
    const asked = leaseAddress(tx, network, { endpoint, fixed: text });
    if (offset >= 64) await assert.rejects(asked, { code: 'EADDROUTSIDE' });
    else if ([0, 1, 9, 63].includes(offset) || model.held.has(text))
      await assert.rejects(asked, { code: 'EADDRTAKEN' });
    else model.held.set((await asked).address.text, endpoint);
  },
});
const release = (nth: number, owner: boolean): Command => ({
  check: (model) => model.held.size > 0,
  toString: () => `release(${nth}, ${owner})`,
  run: async (model, { tx, network }) => {
    const [text, endpoint] = [...model.held][nth % model.held.size]!;
    assert.equal(await releaseAddress(tx, network, text, owner ? endpoint : 'nobody'), owner);
    if (owner) model.held.delete(text);
  },
});

test('against a model: never twice, never outside, what is released is free, what is free is found', async () => {
  const commands = fc.commands(
    [
      fc.constant(lease),
      fc.constant(lease),
      fc.constant(lease),
      fc.nat(80).map(fix),
      fc.tuple(fc.nat(), fc.boolean()).map(([nth, owner]) => release(nth, owner)),
    ],
    { maxCommands: 150, size: 'max' },
  );
  await fc.assert(
    fc.asyncProperty(
      commands,
      fc.constantFrom('10.0.0.0/26', '10.0.0.32/27', '10.0.0.0/28', '10.0.0.16/28'),
      async (run, ipRange) => {
        const subnet: Subnet = { subnet: '10.0.0.0/26', gateway: '10.0.0.1', ipRange, auxAddresses: { a: '10.0.0.9' } };
        const { from, to, reserved } = addressSpace(subnet);
        const usable = new Set<string>();
        for (let value = from; value <= to; value++) if (!reserved.has(value)) usable.add(`10.0.0.${value & 255n}`);
        const setup = (): { model: Model; real: Real } => ({
          model: { held: new Map(), next: 0 },
          real: { tx: new MemoryTx(), network: net(subnet), usable, all: parsePrefix('10.0.0.0/26') },
        });
        await fc.asyncModelRun(setup, run);
      },
    ),
    { numRuns: 150 },
  );
});
