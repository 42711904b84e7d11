import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServer } from './exchange.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { ServerGroups } from './servers.ts';

test('servers are read as resolv.conf(5) says', () => {
  const text = `# nameserver 192.0.2.9
; nameserver 192.0.2.8
domain example.org
nameserver 192.0.2.1
nameserver\t2001:db8::1  # the second
 nameserver 192.0.2.7
nameserver 192.0.2.1
nameserver fe80::1%eth0;
nameservers 192.0.2.6
nameserver
options timeout:1`;
  assert.deepEqual(parseResolvConf(text), ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0']);
  assert.deepEqual(parseResolvConf(''), []);
  assert.equal(parseResolvConf(Array.from({ length: 99 }, (_, i) => `nameserver 10.0.0.${i}`).join('\n')).length, 8);
});

test('a server is an address, with a zone and a port where they are given', () => {
  assert.deepEqual(parseServer('192.0.2.1'), { address: '192.0.2.1', port: 53, scope: 0 });
  assert.deepEqual(parseServer('fe80::1%3#5353'), { address: 'fe80::1', port: 5353, scope: 3 });
  for (const bad of ['', 'ns.example.org', '192.0.2.1:53', '192.0.2.1#99999', '010.0.0.1', '%eth0']) {
    assert.equal(parseServer(bad), undefined, bad);
  }
});

test('groups of servers: equal lists are one; those that are silent go behind; ours are left out', () => {
  const groups = new ServerGroups(({ address }) => address === '10.0.0.1');
  assert.equal(groups.of(['192.0.2.1', '192.0.2.2']), groups.of(['192.0.2.1', '192.0.2.2']));
  assert.notEqual(groups.of(['192.0.2.1', '192.0.2.2']), groups.of(['192.0.2.2', '192.0.2.1']));
  const list = ['10.0.0.1', '192.0.2.1', 'nonsense', '192.0.2.2'];
  const order = (now: number): string[] => groups.order(list, now).map((s) => s.at.address);
  assert.deepEqual(order(0), ['192.0.2.1', '192.0.2.2']);
  const [first] = groups.order(list, 0);
  first!.missed(0, false);
  assert.deepEqual(order(1), ['192.0.2.1', '192.0.2.2'], 'once may be chance');
  first!.missed(1, false);
  assert.deepEqual(order(2), ['192.0.2.2', '192.0.2.1']);
  assert.deepEqual(order(60_000), ['192.0.2.1', '192.0.2.2'], 'and gets another chance');
  first!.missed(60_000, true);
  first!.answered(5);
  assert.deepEqual(order(60_001), ['192.0.2.1', '192.0.2.2']);
  assert.ok(first!.patience >= 250 && first!.patience <= 1000);
});

test('any number of lists comes and goes: numbers stay small, and an epoch says when they start anew', () => {
  const groups = new ServerGroups(() => false);
  for (let i = 0; i < 2000; i++) assert.ok(groups.of([`10.0.${i >> 8}.${i & 255}`]) < 512);
  assert.equal(groups.epoch, 3);
});
