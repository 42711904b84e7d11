/** The contract of stores, on SQLite and on etcd. */
// runs: here in one mode (files and loopback)
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { openEmbeddedStore, openEtcdStore } from '../../src/store/index.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { storeContract } from '../lib/store-contract.ts';

storeContract('embedded', () => {
  const dir = mkdtempSync(join(tmpdir(), 'netloom-store-'));
  return Promise.resolve({
    store: () => openEmbeddedStore({ stateDir: join(dir, 'lib'), runDir: join(dir, 'run'), bootId: 'boot-1' }),
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(dir, { recursive: true })),
  });
});

let etcd: Etcd;
let places = 0;
before(async () => (etcd = await startEtcd()));
after(() => etcd[Symbol.asyncDispose]());
checkDescriptors();
storeContract('etcd', () => {
  const prefix = `/place-${++places}/`;
  return Promise.resolve({
    store: () => openEtcdStore({ endpoints: etcd.endpoints, prefix }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
