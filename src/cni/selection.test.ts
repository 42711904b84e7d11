import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from './configuration.ts';
import { CniError } from './errors.ts';
import type { Parameters } from './parameters.ts';
import { type Selected, selectionOf } from './selection.ts';

interface Given {
  readonly args?: Configuration['args'];
  readonly own?: Configuration['own'];
  readonly words?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}
async function select({ args = {}, own = {}, words = {}, files = {} }: Given): Promise<Selected[]> {
  const conf: Configuration = {
    ...{ cniVersion: '1.1.0', name: 'n', type: 'netloom', runtimeConfig: {}, args, own },
    ...{ prevResult: undefined, validAttachments: undefined },
  };
  const parameters: Parameters = {
    ...{ verb: 'ADD', containerID: 'c1', ifname: 'eth0', netns: '/x', path: [] },
    args: new Map(Object.entries(words)),
  };
  return await selectionOf(conf, parameters, (path) => Promise.resolve(files[path]));
}
const brief = (selected: readonly Selected[]): string[] =>
  selected.map(
    ({ network, ifname, defaultRoute }) => `${network}@${ifname}${defaultRoute ? ` ${defaultRoute.join()}` : ''}`,
  );

test('the short form, with names by place', async () => {
  assert.deepEqual(brief(await select({ words: { NETWORKS: 'a, default/b@eth5,c' } })), ['a@net1', 'b@eth5', 'c@net3']);
  assert.deepEqual(brief(await select({ args: { networks: 'a@x' } })), ['a@x']);
  assert.deepEqual(brief(await select({ args: { networks: ['a', 'b@y'] } })), ['a@net1', 'b@y']);
  assert.deepEqual(brief(await select({ words: { NETWORKS: '' } })), []);
  assert.deepEqual(brief(await select({})), []);
});

test('the list of selection elements', async () => {
  const networks = [
    { name: 'a', namespace: 'default', interface: '', ips: ['10.0.0.2/24'], mac: '02:00:00:00:00:01' },
    { name: 'b', interface: 'eth9', 'default-route': ['10.1.0.1'], bandwidth: { ingressRate: 1 }, ips: null },
  ];
  for (const given of [{ args: { networks } }, { words: { NETWORKS: JSON.stringify(networks) } }]) {
    const selected = await select(given);
    assert.deepEqual(brief(selected), ['a@net1', 'b@eth9 10.1.0.1']);
    assert.deepEqual(
      selected.map(({ asked }) => asked),
      [{ ips: ['10.0.0.2/24'], mac: '02:00:00:00:00:01' }, { bandwidth: { ingressRate: 1 } }],
    );
  }
});

test('files: of the container, else of the pod; what the runtime says itself counts more', async () => {
  const own = { selection: { dir: '/sel' } };
  const words = { K8S_POD_NAMESPACE: 'shop', K8S_POD_NAME: 'web-0' };
  const files = { '/sel/shop_web-0': 'of-pod\n', '/sel/c1': '[{"name": "of-container"}]' };
  assert.deepEqual(brief(await select({ own, words, files })), ['of-container@net1']);
  assert.deepEqual(brief(await select({ own, words, files: { '/sel/shop_web-0': 'of-pod\n' } })), ['of-pod@net1']);
  assert.deepEqual(brief(await select({ own, words, files: {} })), []);
  assert.deepEqual(brief(await select({ own, files: { '/sel/_': 'x', '/sel/c1': ' \n' } })), []);
  assert.deepEqual(brief(await select({ own, words: { ...words, NETWORKS: 'said' }, files })), ['said@net1']);
  assert.deepEqual(brief(await select({ words, files })), [], 'no directory, no file');
});

test('what is wrong is said with its place and its code', async () => {
  const own = { selection: { dir: '/sel', allow: ['a'] } };
  const wrong: readonly [Given, number, RegExp][] = [
    [{ words: { NETWORKS: 'a,b@' } }, 7, /^NETWORKS\[1\]: "b@"/],
    [{ words: { NETWORKS: 'a/b/c' } }, 7, /^NETWORKS\[0\]/],
    [{ words: { NETWORKS: '[{' } }, 7, /^NETWORKS: is no JSON/],
    [{ words: { NETWORKS: 'a@eth0' } }, 7, /two interfaces would be called eth0/],
    [{ words: { NETWORKS: 'a@net2,b' } }, 7, /NETWORKS\[1\]: two interfaces would be called net2/],
    [{ words: { NETWORKS: 'a@name-of-16-bytes' } }, 7, /is no interface name/],
    [{ args: { networks: {} } }, 7, /^args\.cni\.networks: a list/],
    [{ args: { networks: [1] } }, 7, /^args\.cni\.networks\[0\]: an object/],
    [{ args: { networks: [{}] } }, 7, /networks\[0\]\.name: is missing/],
    [{ args: { networks: [{ name: '../x' }] } }, 7, /networks\[0\]\.name: "\.\.\/x"/],
    [{ args: { networks: [{ name: 'a', 'cni-args': {} }] } }, 2, /networks\[0\]\.cni-args: there is no such field/],
    [{ args: { networks: [{ name: 'a', 'default-route': [] }] } }, 7, /default-route: names no router/],
    [
      {
        args: {
          networks: [
            { name: 'a', 'default-route': true },
            { name: 'b', 'default-route': true },
          ],
        },
      },
      7,
      /networks\[1\]\.default-route: another one has it/,
    ],
    [{ args: { networks: Array.from({ length: 65 }, () => 'a') } }, 7, /more than 64/],
    [{ own, words: { NETWORKS: 'a,b' } }, 7, /NETWORKS\[1\]: network "b" may not be named/],
    [{ own, words: { K8S_POD_NAMESPACE: '..', K8S_POD_NAME: '../../etc/passwd' } }, 4, /K8S_POD_NAMESPACE is "\.\."/],
    [{ own, files: { '/sel/c1': 'a b' } }, 7, /^\/sel\/c1\[0\]: "a b"/],
    [{ own: { selection: { dir: 'sel' } } }, 7, /selection\.dir: "sel" is no whole path/],
    [{ own: { selection: { file: '/x' } } }, 2, /selection\.file: there is no such field/],
    [{ own: { selection: [] } }, 7, /^selection: an object/],
  ];
  for (const [given, code, message] of wrong) {
    await assert.rejects(select(given), (error: unknown) => {
      assert.ok(error instanceof CniError, String(error));
      assert.match(error.message, message);
      return error.cni === code;
    });
  }
});
