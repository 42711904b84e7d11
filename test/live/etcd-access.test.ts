/** etcd with TLS and with users: who gets in, who does not, and what is said. */
// runs: here in one mode (loopback)
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type EtcdStoreOptions, openEtcdStore } from '../../src/store/index.ts';
import { startEtcd } from '../lib/etcd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { run } from '../lib/run.ts';

const dir = mkdtempSync(join(tmpdir(), 'etcd-tls-'));
after(() => rmSync(dir, { recursive: true }));
checkDescriptors();

const at = (name: string): string => join(dir, name);
const pem = (name: string): string => readFileSync(at(name), 'utf8');

async function openssl(...words: readonly string[]): Promise<void> {
  const { status, stderr } = await run(['openssl', ...words], { cwd: dir });
  assert.equal(status, 0, stderr);
}

/** An authority, and certificates of it; `days` may lie in the past. */
async function authority(name: string): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`);
}
async function certificate(name: string, by: string, names: string, days = 1): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    ...key,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    '/CN=node',
    '-addext',
    `subjectAltName=${names}`,
  );
  const sign = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', String(days)];
  await openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-out', `${name}.pem`, '-copy_extensions', 'copy');
}

const use = async (options: EtcdStoreOptions): Promise<number> => {
  await using store = await openEtcdStore({ deadline: 2000, ...options });
  await store.transact((tx) => tx.put('a', 1));
  return await store.read((tx) => tx.count(''));
};

test('TLS both ways', async () => {
  for (const name of ['ours', 'theirs']) await authority(name);
  await certificate('server', 'ours', 'IP:127.0.0.1');
  await certificate('client', 'ours', 'DNS:node');
  await certificate('stranger', 'theirs', 'DNS:node');
  const ours = [`--cacert=${at('ours.pem')}`, `--cert=${at('client.pem')}`, `--key=${at('client.key')}`];
  await using etcd = await startEtcd({
    scheme: 'https',
    flags: [
      ...[`--cert-file=${at('server.pem')}`, `--key-file=${at('server.key')}`],
      ...[`--trusted-ca-file=${at('ours.pem')}`, '--client-cert-auth'],
    ],
    ctl: ours,
  });
  const { endpoints } = etcd;
  const all = { endpoints, ca: pem('ours.pem'), cert: pem('client.pem'), key: pem('client.key') };
  assert.equal(await use(all), 1);
  const tls = { code: 'EETCDTLS', message: new RegExp(`^etcd at ${new URL(endpoints[0]!).host}: `) };
  await assert.rejects(use({ ...all, ca: pem('theirs.pem') }), tls);
  await assert.rejects(use({ endpoints }), tls);
  const [first] = endpoints;
  // by a name that is not in its certificate
  await assert.rejects(use({ ...all, endpoints: [first!.replace('127.0.0.1', 'localhost')] }), { code: 'EETCDTLS' });
  for (const client of [
    { cert: pem('stranger.pem'), key: pem('stranger.key') },
    { cert: '', key: '' },
  ])
    await assert.rejects(use({ ...all, ...client }), { code: 'EETCDTLS' });
  await assert.rejects(use({ ...all, endpoints: [first!.replace('https', 'http')] }), { code: 'EETCDAWAY' });
});

test('users, and what they may', async () => {
  const ctl = ['--user=root:secret'];
  await using etcd = await startEtcd({ ctl, flags: ['--auth-token-ttl=1'] });
  const { endpoints } = etcd;
  // whoever has no users needs no name
  assert.equal(await use({ endpoints, user: 'any', password: 'x' }), 1);
  for (const line of [
    'user add root:secret',
    'user grant-role root root',
    'user add node:word',
    'role add node',
    'role grant-permission --prefix=true node readwrite /netloom/',
    'user grant-role node node',
    'auth enable',
  ])
    await etcd.ctl(...line.split(' '));
  const node = { endpoints, user: 'node', password: 'word' };
  assert.equal(await use(node), 1);
  await assert.rejects(use({ ...node, password: 'wrong' }), { code: 'EETCDDENIED', message: /authentication failed/ });
  await assert.rejects(use({ endpoints }), { code: 'EETCDDENIED' });
  await assert.rejects(use({ ...node, prefix: '/other/' }), { code: 'EETCDDENIED', message: /permission denied/ });

  // its token runs out, and it gets another
  await using store = await openEtcdStore(node);
  const changes = store.watch('b', new AbortController().signal)[Symbol.asyncIterator]();
  for (const end = performance.now() + 2500; performance.now() < end;)
    await store.transact((tx) => tx.put('a', Math.random()));
  await etcd.ctl('auth', 'disable');
  await etcd.ctl('auth', 'enable');
  await store.transact((tx) => tx.put('b', 1));
  assert.equal((await changes.next()).value?.key, 'b');
});

test('TLS and users as docs/nodes.md sets them up', async () => {
  const page = readFileSync(new URL('../../docs/nodes.md', import.meta.url), 'utf8');
  const block = (word: string): string => {
    const found = [...page.matchAll(/^```(?:sh|ini)[^\n]*\n([^]*?)^```$/gm)].find(([, text]) => text!.includes(word));
    assert.ok(found, word);
    return found[1]!;
  };
  const own = mkdtempSync(join(dir, 'page-'));
  const follow = async (text: string): Promise<void> => {
    const { status, stderr } = await run(['sh', '-e', '-c', text], { cwd: own });
    assert.equal(status, 0, stderr);
  };
  await follow(block('certificate etcd'));
  const settings = [...block('ETCD_CERT_FILE').matchAll(/^ETCD_(\w+)=(.*)$/gm)]
    .filter(([, name]) => !name!.endsWith('_URLS'))
    .map(([, name, value]) => `--${name!.toLowerCase().replaceAll('_', '-')}=${value!.replace('/etc/etcd', own)}`);
  assert.equal(settings.length, 4);
  const read = (name: string): string => readFileSync(join(own, name), 'utf8');
  const files = ['cacert=ca.pem', 'cert=a.pem', 'key=a.key'].map((each) => `--${each.replace('=', `=${own}/`)}`);
  await using etcd = await startEtcd({ scheme: 'https', flags: settings, ctl: files });
  const { endpoints } = etcd;
  await follow(block('auth enable').replace('https://192.0.2.10:2379', endpoints[0]!));

  const node = { endpoints, ca: read('ca.pem'), cert: read('b.pem'), key: read('b.key') };
  const known = { user: 'netloom', password: read('password').trim() };
  assert.ok((await use({ ...node, ...known })) > 0);
  await using store = await openEtcdStore({ ...node, ...known });
  await using tenure = await store.hold('cluster/alive/b', 'b', { ttl: 5 });
  assert.equal(tenure.lost.aborted, false);
  await assert.rejects(use({ ...node, ...known, prefix: '/other/' }), { code: 'EETCDDENIED' });
  // no certificate is a user
  await assert.rejects(use(node), { code: 'EETCDDENIED' });
  await assert.rejects(use({ endpoints, ca: read('ca.pem'), ...known }), { code: 'EETCDTLS' });

  // with a common name
  await follow(
    block('certificate etcd')
      .replace('/O=netloom', '/CN=netloom')
      .replace(/^openssl req -x509.*$/m, ''),
  );
  const named = { cert: read('b.pem'), key: read('b.key') };
  await assert.rejects(use({ ...node, ...known, ...named }), { code: 'EETCDDENIED', message: /common name/ });
  await assert.rejects(use({ ...node, ...named }), { code: 'EETCDDENIED', message: /common name/ });
});

test('endpoints that are none, and such as are no etcd', async () => {
  for (const endpoints of [[], ['10.0.0.1:2379'], ['ftp://x'], ['http://a:1', 'https://b:1'], ['http://a:1/v3']])
    await assert.rejects(use({ endpoints }), { code: 'EBADETCD' });
  await assert.rejects(use({ endpoints: ['http://127.0.0.1:1'] }), {
    code: 'EETCDAWAY',
    message: /^etcd does not answer at 127\.0\.0\.1:1: .*ECONNREFUSED/,
  });
  const page = createServer((_, answer) => answer.end('<html>')).listen(0, '127.0.0.1');
  await once(page, 'listening');
  const { port } = page.address() as AddressInfo;
  await assert.rejects(use({ endpoints: [`http://127.0.0.1:${port}`] }), { code: 'EETCDAWAY' });
  page.close();
});
