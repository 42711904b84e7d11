import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { SharedNetwork } from '../cluster/index.ts';
import { readKeyOf } from '../keys/index.ts';
import type { Overlay } from '../model/index.ts';
import { forgetNetworkKeys, forgetOldKeys, type HostKeys, intervalOf, keysFor } from './host-keys.ts';
import { DEFAULT_PATHS } from './paths.ts';
import { nextSelf } from './rekey.ts';

const NETWORK: SharedNetwork = {
  id: 'a'.repeat(64),
  name: 'pods',
  created: '',
  internal: false,
  plan: 'node',
  backend: 'ipsec',
  ranges: [],
  nodeLengths: [],
  vni: 5,
  port: 0,
  directRouting: false,
  options: {},
  labels: {},
};
const selfOf = ({ told, own }: HostKeys): Overlay['self'] => {
  const at = { addresses: ['192.0.2.1'], prefixes: [], direct: true, dev: 'eth0', mtu: 1500 };
  return { node: 'a', backend: 'ipsec', mac: '', ...at, ...told, ...own };
};
const overlayOf = (network: SharedNetwork, self: Overlay['self']): Overlay => {
  const { plan, backend, vni, port, directRouting, former } = network;
  return { plan, backend, vni, port, directRouting, ranges: [], ...(former && { former }), self };
};

function place(t: TestContext): { core: Parameters<typeof keysFor>[0]; directory: string; clock: { hour: number } } {
  const stateDir = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(stateDir, { recursive: true }));
  const clock = { hour: 1 };
  const now = (): Date => new Date(Date.UTC(2026, 0, 1, clock.hour));
  return { core: { paths: { ...DEFAULT_PATHS, stateDir }, now }, directory: join(stateDir, 'keys', NETWORK.id), clock };
}

test('a host draws what a network needs, once, and a rehearsal leaves nothing', (t) => {
  const { core, directory, clock } = place(t);
  assert.deepEqual(keysFor(core, { ...NETWORK, backend: 'vxlan' }, undefined), { told: {}, own: {} });
  const rehearsed = keysFor(core, NETWORK, undefined, true);
  assert.equal(rehearsed.own.keyFile, join(directory, '1.key'));
  assert.ok(!existsSync(directory));
  const drawn = keysFor(core, NETWORK, undefined);
  assert.equal(drawn.told.epochs?.length, 1);
  assert.equal(drawn.told.rekeyed, '2026-01-01T01:00:00.000Z');
  assert.ok(readKeyOf(drawn.own.keyFile ?? '', drawn.told.publicKey ?? ''));
  clock.hour = 2;
  assert.deepEqual(keysFor(core, NETWORK, selfOf(drawn)), drawn, 'again: the same');
  // to wireguard and back: epochs go, and others come
  const pair = keysFor(core, { ...NETWORK, backend: 'wireguard' }, selfOf(drawn));
  assert.deepEqual([pair.told.publicKey, pair.told.epochs], [drawn.told.publicKey, undefined]);
  const mixed = keysFor(
    core,
    { ...NETWORK, backend: 'wireguard', former: { backend: 'ipsec', port: 0 } },
    selfOf(drawn),
  );
  assert.deepEqual(mixed.told.epochs, drawn.told.epochs, 'until the last has changed');
  const back = keysFor(core, NETWORK, selfOf(pair));
  assert.notDeepEqual(back.told.epochs, drawn.told.epochs);
  assert.equal(back.told.rekeyed, '2026-01-01T02:00:00.000Z');
  // a file that is lost
  rmSync(drawn.own.keyFile ?? '');
  const other = keysFor(core, NETWORK, selfOf(drawn));
  assert.notEqual(other.told.publicKey, drawn.told.publicKey);
  assert.notDeepEqual(other.told.epochs, drawn.told.epochs);
  forgetNetworkKeys(core, NETWORK.id);
  assert.ok(!existsSync(directory));
});

test("wireguard's pair changes in one step, ipsec's epochs in three", (t) => {
  const { core, directory, clock } = place(t);
  const wireguard: SharedNetwork = { ...NETWORK, backend: 'wireguard' };
  const first = selfOf(keysFor(core, wireguard, undefined));
  clock.hour = 2;
  const second = nextSelf(core, NETWORK.id, overlayOf(wireguard, first));
  assert.ok(second);
  assert.notEqual(second.publicKey, first.publicKey);
  assert.equal(second.rekeyed, '2026-01-01T02:00:00.000Z');
  assert.deepEqual(readdirSync(directory), ['1.key', '2.key'], 'both, until others are told');
  assert.deepEqual(Object.keys(second), Object.keys(first), 'in the order in which it is compared');
  forgetOldKeys(core, NETWORK.id, second);
  assert.deepEqual(readdirSync(directory), ['2.key']);
  const former = { backend: 'vxlan', port: 8472 } as const;
  assert.equal(nextSelf(core, NETWORK.id, overlayOf({ ...wireguard, former }, second)), undefined);
  assert.equal(nextSelf(core, NETWORK.id, overlayOf({ ...NETWORK, backend: 'vxlan' }, second)), undefined);

  const begin = selfOf(keysFor(core, NETWORK, second));
  const [old] = begin.epochs ?? [];
  const seen: (readonly string[])[] = [];
  let self = begin;
  for (let step = 1; step <= 3; step++) {
    clock.hour++;
    const next = nextSelf(core, NETWORK.id, overlayOf(NETWORK, self));
    assert.ok(next);
    assert.equal(next.rekeyed, '2026-01-01T03:00:00.000Z', 'when it began');
    // what a start in between would make of it
    const { told, own } = keysFor(core, NETWORK, next);
    assert.deepEqual(selfOf({ told, own }), next);
    seen.push(next.epochs ?? []);
    self = next;
  }
  const [, drawn] = seen[0] ?? [];
  assert.deepEqual(seen, [[old, drawn], [drawn, old], [drawn]]);
  assert.deepEqual([self.coming, self.keyFile, self.publicKey], [undefined, second.keyFile, second.publicKey]);
});

test('ipsec changes daily where nobody said, wireguard never', () => {
  const usual = (['ipsec', 'wireguard', 'vxlan'] as const).map((backend) => intervalOf({ ...NETWORK, backend }));
  assert.deepEqual(usual, [86400, 0, 0]);
  assert.equal(intervalOf({ ...NETWORK, rekey: 0 }), 0);
  assert.equal(intervalOf({ ...NETWORK, backend: 'wireguard', rekey: 60 }), 60);
});
