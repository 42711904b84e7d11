/** A host for etcd-tenure.test.ts: `tenure-worker.ts ENDPOINT NAME TTL` holds its name, and leases one address after another. */
import { openEtcdStore } from '../../src/store/index.ts';

const [endpoint = '', name = '', ttl = ''] = process.argv.slice(2);
const store = await openEtcdStore({ endpoints: [endpoint], prefix: '/tenure/' });
const say = (line: string): void => void process.stdout.write(`${line}\n`);
try {
  const tenure = await store.hold(`nodes/${name}/alive`, { name, pid: process.pid }, { ttl: Number(ttl) });
  tenure.lost.addEventListener('abort', () => say('lost'));
  say('holds');
  for (let i = 0; ; i++) {
    await store.transact(async (tx) => {
      const taken = new Set((await tx.list('leases/')).map(({ key }) => key));
      let n = 1;
      while (taken.has(`leases/${n}`)) n++;
      await tx.create(`leases/${n}`, { name, pid: process.pid });
    });
    if (i % 20 === 0) say(`leased ${i}`);
  }
} catch (error) {
  say(`failed ${(error as { code?: string }).code}`);
  process.exit(0);
}
