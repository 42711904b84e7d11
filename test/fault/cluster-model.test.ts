/**
 * Claims of prefixes by hosts that crash, are cut off, lose their names, whose answers are lost and whose questions come
 * twice, and whose wall clocks jump, by dice: nothing is ever two hosts' own, and what a host believes is its own is its own in etcd.
 */
// runs: here in one mode (loopback)
import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import { choosePrefixes, claimPrefixes, type PrefixClaim, releasePrefixes, SHARED } from '../../src/cluster/index.ts';
import type { SharedNetwork } from '../../src/cluster/index.ts';
import { hasCode } from '../../src/errors.ts';
import { openEtcdStore, type SharedStore, type Tenure } from '../../src/store/index.ts';
import { type Dice, dice } from '../lib/dice.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { between, type EtcdProxy } from '../lib/etcd-proxy.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { until } from '../lib/wait.ts';

let etcd: Etcd;
before(async () => (etcd = await startEtcd()));
after(() => etcd[Symbol.asyncDispose]());
checkDescriptors();

const TTL = 2;
const STEPS = Number(process.env['MODEL_STEPS'] ?? 80);
const SEED = Number(process.env['MODEL_SEED'] ?? 20261122);

const network = {
  ...{ id: 'n1', name: 'pods', plan: 'flat', backend: 'vxlan', created: '', internal: false, vni: 1, port: 0 },
  ...{
    ranges: [{ subnet: '10.9.0.0/26', gateway: '' }],
    nodeLengths: [30],
    directRouting: false,
    options: {},
    labels: {},
  },
} satisfies SharedNetwork;

/** What may be answered to a host in trouble; anything else is a bug. */
const TROUBLE = [
  'EETCDAWAY',
  'ESTOREBUSY',
  'ETENURELOST',
  'ETENURETAKEN',
  'ERANGEEXHAUSTED',
  'EEXIST',
  'ESTORECLOSED',
] as const;

class Host implements AsyncDisposable {
  readonly who: PrefixClaim;
  readonly proxy: EtcdProxy;
  readonly #place: string;
  #store: SharedStore | undefined;
  #tenure: Tenure | undefined;
  /** Somebody took its name away, whether it knows or not. */
  gone = false;
  /** What it was told is its own. */
  readonly believes = new Set<string>();

  constructor(node: string, proxy: EtcdProxy, place: string) {
    this.who = { node, nodeId: `id-${node}` };
    this.proxy = proxy;
    this.#place = place;
  }

  get holds(): boolean {
    return this.#tenure !== undefined && !this.#tenure.lost.aborted;
  }

  /** From the beginning, as after a crash: what is its own, etcd tells. */
  async enter(): Promise<void> {
    await this.leave();
    this.#store = await openEtcdStore({ endpoints: [this.proxy.endpoint], prefix: this.#place, deadline: 400 });
    this.#tenure = await this.#store.hold(SHARED.alive + this.who.node, this.who, {
      ttl: TTL,
      mayReplace: (value) => (value as PrefixClaim).nodeId === this.who.nodeId,
    });
    this.gone = false;
    const claims = await this.#store.read((tx) => tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`));
    this.believes.clear();
    for (const { key, value } of claims) {
      if (value.nodeId === this.who.nodeId) this.believes.add(key.slice(key.lastIndexOf('/') + 1).replace('_', '/'));
    }
  }
  async leave(): Promise<void> {
    const [store] = [this.#store, (this.#store = undefined), (this.#tenure = undefined)];
    await store?.[Symbol.asyncDispose]();
  }

  async claim(): Promise<void> {
    const store = this.#store;
    if (!store) return;
    const wanted = await store.read((tx) => choosePrefixes(tx, network, this.who, 4));
    await store.transact((tx) => claimPrefixes(tx, network, this.who, wanted));
    assert.ok(!this.gone, `${this.who.node} has lost its name, and claims`);
    for (const prefix of wanted) this.believes.add(prefix);
  }
  async release(): Promise<void> {
    const [prefix] = this.believes;
    if (!this.#store || prefix === undefined) return;
    // it lets go first: an answer that is lost must not leave it with what is another's
    this.believes.delete(prefix);
    await this.#store.transact((tx) => releasePrefixes(tx, network, this.who.nodeId, [prefix]));
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.cut = false;
    await this.leave();
    await this.proxy[Symbol.asyncDispose]();
  }
}

async function step(host: Host, roll: Dice, admin: SharedStore, place: string): Promise<string> {
  const { proxy, who } = host;
  switch (roll(13)) {
    case 0:
      proxy.cut = !proxy.cut;
      return proxy.cut ? 'cut' : 'healed';
    case 1:
      proxy.next = 'swallow';
      return (await host.claim(), 'claimed, not answered');
    case 2:
      proxy.next = 'twice';
      return (await host.claim(), 'claimed twice');
    case 3:
      proxy.next = 'twice';
      return (await host.release(), 'released twice');
    case 4:
      proxy.delay = roll(3) * 20;
      return `slow by ${proxy.delay}`;
    case 5: {
      // etcd's clock jumps: the lease is over, whatever the host thinks
      await admin.transact((tx) => tx.delete(SHARED.alive + who.node));
      host.gone = true;
      return 'lost its name';
    }
    case 6:
    case 7:
      proxy.cut = false;
      return (await host.enter(), 'entered');
    case 8: {
      // node rm, of one that is not heard of: what it had is free
      if ((await admin.read((tx) => tx.get(SHARED.alive + who.node))) !== undefined) return 'is heard of';
      host.believes.clear();
      const claims = await admin.read((tx) => tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`));
      const own = claims.filter(({ value }) => value.nodeId === who.nodeId).map(({ key }) => key);
      const prefixes = own.map((key) => key.slice(key.lastIndexOf('/') + 1).replace('_', '/'));
      await admin.transact((tx) => releasePrefixes(tx, network, who.nodeId, prefixes));
      return `removed at ${place}`;
    }
    case 9:
      return (await host.release(), 'released');
    case 10:
      // of all hosts, which are one process: hours, to and fro, and it stands still from then on
      mock.timers.setTime(Math.max(0, Date.now() + (roll(21) - 10) * 3_600_000));
      return 'the wall clock jumped';
    default:
      return (await host.claim(), 'claimed');
  }
}

test(`${STEPS} steps of four hosts, seed ${SEED}: nothing is leased twice`, async (t) => {
  const place = '/model/';
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.after(() => mock.timers.reset());
  await using stack = new AsyncDisposableStack();
  const admin = stack.use(await openEtcdStore({ endpoints: etcd.endpoints, prefix: place }));
  await admin.transact((tx) => tx.put(SHARED.networks + network.id, network));
  const hosts: Host[] = [];
  for (const node of ['a', 'b', 'c', 'd']) {
    const host = stack.use(new Host(node, await between(etcd.endpoints[0]!), place));
    await host.enter();
    hosts.push(host);
  }
  const roll = dice(SEED);
  const seen = new Map<string, number>();
  const check = async (): Promise<void> => {
    const claims = await admin.read((tx) => tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`));
    const owner = new Map(
      claims.map(({ key, value }) => [key.slice(key.lastIndexOf('/') + 1).replace('_', '/'), value.node]),
    );
    for (const host of hosts)
      for (const prefix of host.believes) assert.equal(owner.get(prefix), host.who.node, `${prefix}, seed ${SEED}`);
  };
  for (let i = 0; i < STEPS; i++) {
    // several at once, each host one thing at a time
    const chosen = hosts.filter(() => roll(2) === 0);
    await Promise.all(
      chosen.map(async (host) => {
        const what = await step(host, roll, admin, place).catch((error: unknown) => {
          if (!hasCode(error, ...TROUBLE)) throw error;
          return error.code;
        });
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }),
    );
    await check();
  }
  t.diagnostic([...seen].map(([what, count]) => `${what} ${count}`).join(', '));
  // all of them come back, and go on
  for (const host of hosts) {
    Object.assign(host.proxy, { cut: false, delay: 0, next: 'pass' });
    await until(`${host.who.node} enters`, async () => (await host.enter(), host.holds), { timeout: 15_000 });
    await host.release();
    await host.claim().catch((error: unknown) => {
      if (!hasCode(error, 'ERANGEEXHAUSTED')) throw error;
    });
  }
  await check();
});
