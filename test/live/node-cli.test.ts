// runs: here in one mode (hosts side by side, which take their time)
/** The verbs of nodes as people type them, by two daemons of one cluster and a real etcd. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Client } from '../../src/api/client.ts';
import { createApiServer } from '../../src/api/server.ts';
import { runCli } from '../../src/cli/app.ts';
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../lib/dirs.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS, makeHost } from '../lib/host.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}
interface Site extends AsyncDisposable {
  readonly etcd: Etcd;
  /** `netloom WORDS` on a host. */
  on(host: 'a' | 'b', words: string): Promise<Ran>;
  /** What it prints; it must not fail. */
  ok(host: 'a' | 'b', words: string): Promise<string>;
}

/** `a` has 192.0.2.1, `b` 192.0.2.3, on one segment. */
async function makeSite(): Promise<Site> {
  await using undo = new AsyncDisposableStack();
  const etcd = undo.use(await startEtcd());
  const world = undo.use(await makeHost({ neighbour: true }));
  const sockets = { a: '', b: '' };
  for (const [name, netns] of [
    ['a', world.netns],
    ['b', world.neighbour],
  ] as const) {
    const dirs = undo.use(makeDirs());
    const engine = undo.use(
      await openEngine({
        ...{ stateDir: dirs.stateDir, runDir: dirs.runDir },
        ...{ netnsDir: `${dirs.root}/netns`, etcNetnsDir: `${dirs.root}/etc` },
        netns: Netns.open(`/proc/self/fd/${netns.fd}`),
        resident: true,
      }),
    );
    const api = await createApiServer({ engine });
    undo.defer(async () => void (await api.stop(0)));
    sockets[name] = `${dirs.root}/api.sock`;
    await once(api.http.listen(sockets[name]), 'listening');
  }
  const on: Site['on'] = async (host, words) => {
    let stdout = '';
    let stderr = '';
    const status = await runCli(words.split(' '), {
      stdout: { write: (chunk) => (stdout += String(chunk)) },
      stderr: { write: (chunk) => (stderr += String(chunk)) },
      stdinIsTTY: false,
      stdin: () => Promise.resolve(''),
      env: {},
      program: '',
      now: Date.now,
      open: () => Promise.resolve(new Client(sockets[host])),
    });
    return { status, stdout, stderr };
  };
  const kept = undo.move();
  return {
    etcd,
    on,
    async ok(host, words) {
      const { status, stdout, stderr } = await on(host, words);
      assert.equal(status, 0, stderr);
      return stdout;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

test('a cluster of two from join to leaving, on the command line', async () => {
  await using site = await makeSite();
  const { etcd, on, ok } = site;
  const [url] = etcd.endpoints;
  const fails = async (host: 'a' | 'b', words: string, code: string): Promise<void> => {
    const { status, stdout } = await on(host, `--json ${words}`);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string } };
    assert.deepEqual([status, error.code], [1, code], stdout);
    assert.ok(error.message !== '' && !error.message.includes('\n') && error.hint !== '', stdout);
  };

  // in none
  assert.equal(await ok('a', 'node status'), 'in no cluster\n');
  for (const words of ['node ls', 'node drain', 'node rm b', 'network create -d overlay shared'])
    await fails('a', words, 'ENOCLUSTER');
  await fails('a', 'node join --etcd 127.0.0.1:1', 'EBADETCD');
  await fails('a', 'node join --etcd http://127.0.0.1:1', 'EETCDAWAY');
  await fails('a', `node join --etcd ${url} --ca /nonexistent`, 'EBADETCD');
  await fails('a', `node join --etcd ${url} --address 198.51.100.9`, 'ENODEADDRESS');
  assert.equal(await ok('a', 'node status'), 'in no cluster\n');

  // joined
  const joined = await ok('a', `node join --etcd ${url} --name a --address ${ADDRESS.host}`);
  assert.match(joined, new RegExp(`^a\\n${ADDRESS.host}.* on eth0: .+\\n$`));
  await fails('b', `node join --etcd ${url} --name a --address ${ADDRESS.neighbour}`, 'ENODETAKEN');
  await ok('b', `node join --etcd ${url} --name b --address ${ADDRESS.neighbour}`);
  assert.equal(await ok('b', 'node status'), `b: connected\netcd: ${url}\n`);
  const states = async (): Promise<string> => await ok('a', 'node ls --format {{.Name}}{{.Self}}{{.Status}}');
  await until('a has heard of b', async () => (await states()) === 'atrueready\nbfalseready\n');
  assert.match(await ok('a', 'node ls'), /^a \* +ready +192\.0\.2\.1.* eth0 +1500 /m);

  // a network of both
  await ok('a', 'network create -d overlay -o plan=node --subnet 10.244.0.0/16 shared');
  const scope = 'network ls --format {{.Name}}={{.Driver}},{{.Scope}}';
  await until('it is on b', async () => (await ok('b', scope)).includes('shared=overlay,global'));
  const peers = 'network inspect -f {{range.Peers}}{{.Name}}={{.IP}};{{end}} shared';
  const both = `a=${ADDRESS.host};b=${ADDRESS.neighbour};\n`;
  await until('each names both', async () => (await ok('a', peers)) === both && (await ok('b', peers)) === both);
  assert.match(
    await ok('b', 'node inspect -f {{range.Networks}}{{.Name}}{{.Prefixes}}{{end}} b'),
    /^shared\[10\.244\./,
  );

  // drained and back
  assert.equal(await ok('a', 'node drain b'), 'b\n');
  await until('b is drained', async () => (await states()).includes('bfalsedraining'));
  assert.equal(await ok('b', 'node drain --undo'), 'b\n');
  await until('b is back', async () => (await states()).includes('bfalseready'));
  await fails('a', 'node drain c', 'ENODENOTFOUND');
  await fails('a', 'node rm b', 'ENODEINUSE');

  // left
  assert.equal(await ok('b', 'node rm b'), 'b\n');
  assert.equal(await ok('b', 'node status'), 'in no cluster\n');
  await until('a is alone', async () => (await states()) === 'atrueready\n');
});
