/**
 * The daemon that borrows an address, or the one that lends it, dies after every fact, before and after every write to etcd. The
 * next start brings both to one mind: the borrower has an endpoint with the address and nobody else gets it, or it is free.
 */
// runs: here in one mode (a process for each kill; who does it changes nothing)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ipFromValue, parsePrefix } from '../../src/addr/index.ts';
import { hasCode } from '../../src/errors.ts';
import type { EtcdProxy, Fate } from '../lib/etcd-proxy.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Host, loansIn, type Machines, makeMachines, makeNetwork } from '../lib/machines.ts';
import { type Background, start } from '../lib/run.ts';
import { FIRST, STRIDE } from '../lib/stride.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const LONG = { timeout: STRIDE === 1 ? 1_000_000 : 300_000 };
const CHILD = fileURLToPath(new URL('cluster-loans-child.ts', import.meta.url));

/** Where the daemon dies; `none`: it comes to the end. */
type Death = { readonly fact: number } | { readonly write: number; readonly when: 'before' | 'after' } | 'none';

/** Every death of so many facts and writes, or those of them that this run takes. */
function deaths(facts: number, writes: number): Death[] {
  const each: Death[] = [];
  for (let fact = 1; fact <= facts; fact++) each.push({ fact });
  for (let write = 1; write <= writes; write++) each.push({ write, when: 'before' }, { write, when: 'after' });
  return each.filter((_, i) => i % STRIDE === FIRST % STRIDE);
}

/** The daemon of a host, in a process of its own, while its engine here is stopped. */
class Daemon implements AsyncDisposable {
  readonly #child: Background;
  readonly #proxy: EtcdProxy;
  /** Of this process to etcd, since it was watched. */
  writes = 0;

  constructor(machines: Machines, host: Host, fact: number, words: readonly string[]) {
    this.#proxy = machines.proxies[machines.hosts.indexOf(host)]!;
    const options = JSON.stringify({ ...host.paths, netnsPath: `/proc/${process.pid}/fd/${host.netns.fd}` });
    this.#child = start([process.execPath, '--no-warnings', CHILD, options, String(fact), ...words]);
  }

  /** Counts what it writes from now on, and kills it there. */
  watch(death: Death): void {
    this.#proxy.onChange = (): Fate => {
      const dies = death !== 'none' && 'write' in death && ++this.writes === death.write;
      if (death === 'none') this.writes++;
      return dies ? { [death.when]: () => this.kill() } : {};
    };
  }
  kill(): void {
    this.#child.child.kill('SIGKILL');
  }
  async connected(): Promise<void> {
    await until('connected', () => this.#child.output().includes('connected'), { timeout: 20_000 });
  }
  /** How many facts there were; undefined where it was killed. */
  async end(): Promise<number | undefined> {
    const { child, output } = this.#child;
    await until('it has ended', () => child.exitCode !== null || child.signalCode !== null, { timeout: 40_000 });
    this.#proxy.onChange = undefined;
    if (child.signalCode === 'SIGKILL') return undefined;
    assert.equal(child.exitCode, 0, output());
    return Number(/facts (\d+)/.exec(output())?.[1] ?? 0);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

async function connected({ engine }: Host): Promise<void> {
  await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
}
async function attach({ engine }: Host, address: string): Promise<string> {
  return (await engine.endpointAttach({ tap: true, netns: '', network: 'small', addresses: [address] })).value.id;
}

/** Both hosts are of one mind: the address is the borrower's endpoint's alone, or nobody's. Nobody's in the end. */
async function agreed(machines: Machines, address: string, what: string): Promise<void> {
  const [one, two] = machines.hosts as [Host, Host];
  const id = await until(
    `${what}: they agree`,
    async () => {
      const [endpoint] = await one.engine.endpointList();
      const loans = await loansIn(machines);
      assert.equal(loans, endpoint ? address : '');
      return endpoint?.id ?? 'none';
    },
    { timeout: 20_000 },
  );
  if (id !== 'none') {
    await assert.rejects(attach(two, address), { code: 'EADDRTAKEN', message: /lent to node host1/ }, what);
    await one.engine.endpointDetach(id);
  }
  const theirs = await until(`${what}: it is free`, () => attach(two, address), { timeout: 20_000 });
  await two.engine.endpointDetach(theirs);
  assert.equal(await loansIn(machines), '');
}

async function bed(): Promise<{ readonly machines: Machines; readonly address: string }> {
  const machines = await makeMachines(2, { proxied: true });
  await makeNetwork(machines, { name: 'small', driver: 'overlay', subnets: [{ subnet: '10.9.0.0/27' }] });
  const [part = ''] = (await machines.hosts[1]!.engine.networkInspect('small')).overlay!.self.prefixes;
  return { machines, address: ipFromValue(4, parsePrefix(part).first + 5n).text };
}

test('SIGKILL of the borrower, at every step until others know its endpoint', LONG, async (t) => {
  const { machines, address } = await bed();
  await using _ = machines;
  const [one] = machines.hosts as [Host, Host];
  const attempt = async (death: Death): Promise<{ facts: number | undefined; writes: number }> => {
    await one.stop();
    const fact = death !== 'none' && 'fact' in death ? death.fact : 0;
    await using daemon = new Daemon(machines, one, fact, ['small', address]);
    daemon.watch(death);
    const facts = await daemon.end();
    await one.start();
    await connected(one);
    return { facts, writes: daemon.writes };
  };
  // the first one of a network brings more than others
  await attempt('none');
  await agreed(machines, address, 'not killed');
  const { facts = 0, writes } = await attempt('none');
  t.diagnostic(`${facts} facts, ${writes} writes`);
  assert.ok(facts > 0 && writes >= 3); // its name, its wish, its endpoint
  await agreed(machines, address, 'not killed');
  for (const death of deaths(facts, writes)) {
    const what = `killed: ${JSON.stringify(death)}`;
    assert.equal((await attempt(death)).facts, undefined, what);
    await agreed(machines, address, what);
  }
});

test('SIGKILL of the lender, before and after its answer', LONG, async () => {
  const { machines, address } = await bed();
  await using _ = machines;
  const [one, two] = machines.hosts as [Host, Host];
  const attempt = async (death: Death): Promise<number> => {
    await two.stop();
    await using daemon = new Daemon(machines, two, 0, ['small']);
    await daemon.connected();
    daemon.watch(death);
    const [result] = await Promise.allSettled([attach(one, address)]);
    const { writes } = daemon;
    if (death === 'none') daemon.kill();
    await daemon.end();
    if (result.status === 'rejected') assert.ok(hasCode(result.reason, 'ENODESILENT'), String(result.reason));
    await two.start();
    await connected(two);
    return writes;
  };
  const writes = await attempt('none');
  assert.ok(writes > 0);
  await agreed(machines, address, 'not killed');
  for (let write = 1; write <= writes; write++) {
    for (const when of ['before', 'after'] as const) {
      await attempt({ write, when });
      await agreed(machines, address, `killed ${when} write ${write}`);
    }
  }
});
