/**
 * Claims of prefixes, and loans of addresses in them, by hosts that crash, are cut off, lose their names, whose answers are lost and whose questions come
 * twice, and whose wall clocks jump, by dice: nothing is ever two hosts' own, and what a host believes is its own is its own in etcd.
 * No address is had twice.
 */
// runs: here in one mode (loopback)
import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import { contains, parseIp, parsePrefix } from '../../src/addr/index.ts';
import {
  type AliveRecord,
  choosePrefixes,
  claimPrefixes,
  endLoan,
  endWish,
  lend,
  type Loan,
  loansOf,
  partsOf,
  type PrefixClaim,
  refuse,
  releasePrefixes,
  SHARED,
  type SharedNetwork,
  type Wish,
  wishFor,
} from '../../src/cluster/index.ts';
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
  'ENODESILENT',
] as const;

/** Of few, so that hosts meet: two of each part. */
function anAddress(roll: Dice): string {
  return `10.9.0.${roll(16) * 4 + 1 + roll(2)}`;
}

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
  /** What its store has: addresses that endpoints have, of its own parts and of others'; what is lent, and to whose id. */
  readonly given = new Set<string>();
  readonly borrowed = new Set<string>();
  readonly lent = new Map<string, string>();
  #wish: Wish | undefined;

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
    this.#tenure = await this.#store.hold(SHARED.alive + this.who.node, { id: this.who.nodeId } satisfies AliveRecord, {
      ttl: TTL,
      mayReplace: (value) => (value as AliveRecord).id === this.who.nodeId,
    });
    this.gone = false;
    const { claims, loans } = await this.#store.read(async (tx) => ({
      claims: await tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`),
      loans: await loansOf(tx, network.id),
    }));
    this.believes.clear();
    for (const { key, value } of claims) {
      if (value.nodeId === this.who.nodeId) this.believes.add(key.slice(key.lastIndexOf('/') + 1).replace('_', '/'));
    }
    this.#adopt(loans);
  }
  /** Every address that somebody here has. */
  get uses(): readonly string[] {
    return [...this.given, ...this.borrowed];
  }
  forget(): void {
    for (const set of [this.believes, this.given, this.borrowed, this.lent]) set.clear();
    this.#wish = undefined;
  }

  #has(address: string): boolean {
    return [...this.believes].some((prefix) => contains(parsePrefix(prefix), parseIp(address)));
  }
  #adopt(loans: ReadonlyMap<string, Loan>): void {
    for (const [address, { nodeId }] of loans)
      if (nodeId !== this.who.nodeId && this.#has(address)) this.lent.set(address, nodeId);
  }

  /** To an endpoint, out of its own parts: etcd is not asked. */
  give(address: string): string {
    if (!this.#has(address) || this.lent.has(address) || this.borrowed.has(address)) return 'gave nothing';
    this.given.add(address);
    return 'gave';
  }
  /** An endpoint goes. */
  async detach(): Promise<string> {
    const [given] = this.given;
    const [borrowed] = this.borrowed;
    if (borrowed === undefined) return given !== undefined && this.given.delete(given) ? 'detached' : 'has none';
    this.borrowed.delete(borrowed);
    await this.#store?.transact((tx) => endLoan(tx, network.id, borrowed, this.who.nodeId));
    return 'gave back';
  }
  async ask(address: string): Promise<string> {
    const { given, borrowed } = this;
    if (!this.#store || this.#wish || given.has(address) || borrowed.has(address)) return 'asks nothing';
    const wish = await this.#store.transact((tx) => wishFor(tx, network, address, this.who, crypto.randomUUID()));
    this.#wish = wish;
    return wish ? 'asked' : 'has nobody to ask';
  }
  /** Whether it was answered or not. */
  async hear(): Promise<string> {
    const wish = this.#wish;
    if (!this.#store || !wish) return 'hears nothing';
    this.#wish = undefined;
    const answer = await this.#store.transact((tx) => endWish(tx, wish));
    if (answer === 'lent') this.borrowed.add(wish.address);
    return typeof answer === 'string' ? `heard ${answer}` : 'heard no';
  }
  /** Answers one wish, as it is asked to set an address aside first. */
  async answer(): Promise<string> {
    if (!this.#store) return 'answers nobody';
    const wishes = await this.#store.read((tx) => tx.list<Wish>(`${SHARED.wishes}${network.id}/`));
    const wish = wishes.find(
      ({ value }) => value.owner.nodeId === this.who.nodeId && value.refused === undefined,
    )?.value;
    if (!wish) return 'answers nobody';
    const { address, nodeId } = wish;
    const had = this.lent.get(address);
    const taken = this.uses.includes(address) || !this.#has(address) || (had !== undefined && had !== nodeId);
    if (!taken) this.lent.set(address, nodeId);
    const answer = taken ? { refused: 'taken' } : await this.#store.transact((tx) => lend(tx, network, wish));
    if (answer === 'lent') return 'lent';
    if (!taken && had === undefined) this.lent.delete(address);
    if (typeof answer === 'object') await this.#store.transact((tx) => refuse(tx, wish, answer.refused));
    return 'refused';
  }
  /** What etcd has of it that it does not know goes; what is given back is its own again. */
  async settle(): Promise<string> {
    const store = this.#store;
    if (!store) return 'settles nothing';
    const { nodeId } = this.who;
    const { loans, wishes } = await store.read(async (tx) => ({
      loans: await loansOf(tx, network.id),
      wishes: await tx.list<Wish>(`${SHARED.wishes}${network.id}/`),
    }));
    for (const address of this.lent.keys()) if (!loans.has(address)) this.lent.delete(address);
    for (const { key, value } of wishes)
      if (value.nodeId === nodeId && value.request !== this.#wish?.request)
        await store.transact((tx) => tx.delete(key));
    for (const [address, loan] of loans) {
      if (loan.nodeId !== nodeId || this.borrowed.has(address) || this.#wish?.address === address) continue;
      await store.transact((tx) => endLoan(tx, network.id, address, nodeId));
    }
    return 'settled';
  }
  async leave(): Promise<void> {
    const [store] = [this.#store, (this.#store = undefined), (this.#tenure = undefined)];
    await store?.[Symbol.asyncDispose]();
  }

  async claim(): Promise<void> {
    const store = this.#store;
    if (!store) return;
    const wanted = await store.read((tx) => choosePrefixes(tx, network, this.who, 4));
    const loans = await store.transact(async (tx) => {
      await claimPrefixes(tx, network, this.who, wanted);
      return await loansOf(tx, network.id);
    });
    assert.ok(!this.gone, `${this.who.node} has lost its name, and claims`);
    for (const prefix of wanted) this.believes.add(prefix);
    this.#adopt(loans);
  }
  async release(): Promise<void> {
    const [prefix] = this.believes;
    if (!this.#store || prefix === undefined) return;
    // it lets go first: an answer that is lost must not leave it with what is another's
    this.believes.delete(prefix);
    const gone = parsePrefix(prefix);
    for (const address of [...this.given, ...this.lent.keys()]) {
      if (!contains(gone, parseIp(address))) continue;
      this.given.delete(address);
      this.lent.delete(address);
    }
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
      host.forget();
      const { loans, wishes } = await admin.read(async (tx) => ({
        loans: await tx.list<Loan>(SHARED.loans),
        wishes: await tx.list<Wish>(SHARED.wishes),
      }));
      for (const { key, value } of wishes)
        if (value.nodeId === who.nodeId) await admin.transact((tx) => tx.delete(key));
      for (const { key } of loans)
        await admin.transact((tx) => endLoan(tx, network.id, partsOf(key, SHARED.loans).id, who.nodeId));
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

/** What hosts do with addresses; now and then, as all of them, something else. */
async function loanStep(host: Host, roll: Dice, admin: SharedStore, place: string): Promise<string> {
  const { proxy } = host;
  if (!host.holds || proxy.cut) {
    if (roll(3) > 0) return 'is away';
    Object.assign(proxy, { cut: false, delay: 0, next: 'pass' });
    return (await host.enter(), 'entered');
  }
  switch (roll(20)) {
    case 0:
      return await step(host, roll, admin, place);
    case 1:
    case 2:
      return host.give(anAddress(roll));
    case 3:
    case 4:
      return await host.detach();
    case 5:
      proxy.next = 'swallow';
      return `${await host.ask(anAddress(roll))}, its answer lost`;
    case 6:
      proxy.next = 'twice';
      return `${await host.answer()}, twice`;
    case 7:
      proxy.next = 'swallow';
      return `${await host.answer()}, its answer lost`;
    case 8:
    case 9:
    case 10:
    case 11:
      return await host.ask(anAddress(roll));
    case 12:
    case 13:
      return await host.hear();
    case 14:
      return await host.settle();
    case 15:
      return (await host.claim(), 'claimed');
    case 16:
      // its part is another's next, with what is lent of it
      return (await host.release(), 'released');
    default:
      return await host.answer();
  }
}

for (const [what, one, place, steps] of [
  ['prefixes', step, '/model/', STEPS],
  // which seldom wait for anybody
  ['loans', loanStep, '/loans/', STEPS * 4],
] as const)
  test(`${steps} steps of four hosts with ${what}, seed ${SEED}: nothing is had twice`, async (t) => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    t.after(() => mock.timers.reset());
    await using stack = new AsyncDisposableStack();
    const admin = stack.use(await openEtcdStore({ endpoints: etcd.endpoints, prefix: place }));
    await admin.transact((tx) => tx.put(SHARED.networks + network.id, network));
    const hosts: Host[] = [];
    for (const node of ['a', 'b', 'c', 'd']) {
      const host = stack.use(new Host(node, await between(etcd.endpoints[0]!), place));
      await until(`${node} enters`, async () => (await host.enter(), true));
      if (one === loanStep)
        for (let i = 0; i < 3; i++) await until(`${node} claims`, async () => (await host.claim(), true));
      hosts.push(host);
    }
    const roll = dice(SEED);
    const seen = new Map<string, number>();
    const check = async (): Promise<void> => {
      const claims = await admin.read((tx) => tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`));
      const loans = await admin.read((tx) => loansOf(tx, network.id));
      const users = new Map<string, string>();
      for (const { who, uses, borrowed } of hosts) {
        for (const address of uses) {
          assert.equal(users.get(address), undefined, `${address} of ${who.node}, seed ${SEED}`);
          users.set(address, who.node);
        }
        for (const address of borrowed) assert.equal(loans.get(address)?.node, who.node, `${address}, seed ${SEED}`);
      }
      const owner = new Map(
        claims.map(({ key, value }) => [key.slice(key.lastIndexOf('/') + 1).replace('_', '/'), value.node]),
      );
      for (const host of hosts)
        for (const prefix of host.believes) assert.equal(owner.get(prefix), host.who.node, `${prefix}, seed ${SEED}`);
    };
    for (let i = 0; i < steps; i++) {
      // several at once, each host one thing at a time
      const chosen = hosts.filter(() => roll(2) === 0);
      await Promise.all(
        chosen.map(async (host) => {
          const did = await one(host, roll, admin, place).catch((error: unknown) => {
            if (!hasCode(error, ...TROUBLE)) throw error;
            return error.code;
          });
          seen.set(did, (seen.get(did) ?? 0) + 1);
        }),
      );
      await check();
    }
    t.diagnostic([...seen].map(([what, count]) => `${what} ${count}`).join(', '));
    if (one === loanStep)
      for (const did of ['lent', 'refused', 'heard lent', 'gave back']) assert.ok(seen.has(did), did);
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
