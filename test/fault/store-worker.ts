/**
 * The other process of the store's fault tests: takes and gives back addresses of one small network until killed.
 * One line on standard output for each transaction that was acknowledged: `+ endpoint` or `- endpoint`, and `? endpoint`
 * before one is given back, since a kill may come after the commit and before the line.
 */
import { writeSync } from 'node:fs';
import { leaseAddress, releaseAddress } from '../../src/ipam/index.ts';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import type { Store } from '../../src/store/store.ts';

const [root, name, crossEvery] = process.argv.slice(2);
const network = { id: 'n1', name: 'web', subnets: [{ subnet: '10.0.0.0/25', gateway: '10.0.0.1' }] };
const mine = new Map<string, string>();
const say = (line: string): void => void writeSync(1, `${line}\n`);

async function attach(store: Store, endpoint: string): Promise<void> {
  const address = await store.transact(async (tx) => {
    const leased = await leaseAddress(tx, network, { endpoint });
    await tx.create(`endpoints/${endpoint}`, { address: leased.address.text });
    return leased.address.text;
  });
  say(`+ ${endpoint}`);
  mine.set(endpoint, address);
}

async function detach(store: Store, endpoint: string, address: string): Promise<void> {
  say(`? ${endpoint}`);
  await store.transact(async (tx) => {
    if (!(await releaseAddress(tx, network, address, endpoint)))
      throw new Error(`${address} was taken from ${endpoint}`);
    await tx.delete(`endpoints/${endpoint}`);
  });
  say(`- ${endpoint}`);
  mine.delete(endpoint);
}

/** Both files, equal in both: also what a reader must see. */
async function cross(store: Store): Promise<void> {
  await store.transact(async (tx) => {
    const n = ((await tx.get<number>('networks/pair')) ?? 0) + 1;
    await tx.put('networks/pair', n);
    await tx.put('pair', n);
  });
  const [state, runtime] = await store.read(async (tx) => [await tx.get('networks/pair'), await tx.get('pair')]);
  if (state !== runtime) throw new Error(`a reader saw half a transaction: ${state} and ${runtime}`);
}

await using store = await openEmbeddedStore({ stateDir: `${root}/state`, runDir: `${root}/run` });
say('ready');
for (let i = 0; ; i++) {
  if (i % Number(crossEvery) === 0) await cross(store);
  const [oldest] = mine;
  if (oldest && mine.size > 20) await detach(store, ...oldest);
  else await attach(store, `${name}-${process.pid}-${i}`);
}
