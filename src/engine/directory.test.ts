import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Container, Endpoint, Network } from '../model/index.ts';
import { Directory } from './directory.ts';
import { portNumber, readServices } from './service-names.ts';

const services = readServices('/nowhere');

function network(id: string, more: Partial<Network> = {}): Network {
  const subnets = [{ subnet: `10.0.${id}.0/24`, gateway: `10.0.${id}.1` }];
  return { id, name: `net${id}`, internal: false, driver: 'bridge', subnets, phase: 'ready', ...more } as Network;
}
function container(name: string, servers: readonly string[] = []): Container {
  return {
    id: `c-${name}`,
    name,
    hostname: `h-${name}`,
    mode: { kind: 'networks' },
    dns: { servers, search: [], options: [] },
  } as unknown as Container;
}
function endpoint(of: string, net: string, host: number, more: Partial<Endpoint> = {}): Endpoint {
  const id = `${of}-${net}-${host}`;
  const addresses = [`10.0.${net}.${host}/24`];
  const base = { id, network: net, container: `c-${of}`, netns: `/run/netns/${of}`, aliases: [], addresses, ports: [] };
  return { ...base, phase: 'ready', ...more } as unknown as Endpoint;
}
const from = (net: string, host: number): { network: string; address: string } => ({
  network: net,
  address: `10.0.${net}.${host}`,
});

test('an asker sees the names of its own networks, the one that it asks on first', () => {
  const d = new Directory(services);
  for (const id of ['1', '2', '3']) d.putNetwork(network(id));
  for (const name of ['a', 'b']) d.putContainer(container(name));
  d.putEndpoint(endpoint('a', '1', 2));
  d.putEndpoint(endpoint('a', '2', 2));
  d.putEndpoint(endpoint('b', '1', 3, { aliases: ['WEB'] }));
  d.putEndpoint(endpoint('b', '2', 3, { aliases: ['web'] }));
  d.putEndpoint(endpoint('b', '3', 3, { aliases: ['secret'] }));
  assert.deepEqual(d.lookup(from('1', 2), 'web'), ['10.0.1.3']);
  assert.deepEqual(d.lookup(from('2', 2), 'web'), ['10.0.2.3']);
  assert.deepEqual(d.lookup(from('2', 2), 'h-b.net2'), ['10.0.2.3']);
  assert.deepEqual(d.lookup(from('1', 2), 'b.net2'), ['10.0.2.3'], 'on another of its networks');
  assert.equal(d.lookup(from('1', 2), 'secret'), undefined);
  assert.equal(d.lookup({ network: '9', address: '192.0.2.1' }, 'web'), undefined);
  assert.equal(d.lookup(from('1', 2), 'web'), d.lookup(from('1', 2), 'web'), 'the same array while nothing changes');
  assert.deepEqual(d.reverse(from('1', 2), '10.0.1.3'), ['b.net1']);
  assert.deepEqual(d.reverse(from('1', 2), '10.0.1.77'), []);
  assert.equal(d.reverse(from('1', 2), '10.0.3.3'), undefined, 'not for this asker');
});

test('the containers of a pod are names of the pod', () => {
  const d = new Directory(services);
  d.putNetwork(network('1'));
  const member = { ...container('m'), mode: { kind: 'container', container: 'c-pod' } } as Container;
  d.putContainer(member); // whichever is heard of first
  d.putContainer(container('pod'));
  d.putEndpoint(endpoint('pod', '1', 2));
  for (const name of ['pod', 'm', 'm.net1']) assert.deepEqual(d.lookup(from('1', 2), name), ['10.0.1.2'], name);
  assert.deepEqual(d.reverse(from('1', 2), '10.0.1.2'), ['pod.net1']);
  d.dropContainer(member.id);
  assert.equal(d.lookup(from('1', 2), 'm'), undefined);
});

test('who is on internal networks only asks nobody outside; dns servers are the container’s own', () => {
  const d = new Directory(services);
  d.putNetwork(network('1', { internal: true }));
  d.putNetwork(network('2'));
  const servers = ['192.0.2.53'];
  d.putContainer(container('a', servers));
  d.putContainer(container('b'));
  d.putEndpoint(endpoint('a', '1', 2));
  d.putEndpoint(endpoint('b', '1', 3));
  d.putEndpoint(endpoint('b', '2', 3));
  assert.deepEqual(d.policy(from('1', 2)), { upstreams: servers, forward: false });
  assert.deepEqual(d.policy(from('1', 3)), { forward: true }, 'another of its networks leads outside');
  assert.deepEqual(d.policy(from('2', 200)), { forward: true }, 'nobody that is known, but on the network');
  d.putNetwork(network('2', { upstreams: ['192.0.2.54'] }));
  d.putEndpoint(endpoint('a', '2', 4));
  assert.deepEqual(d.policy(from('2', 3)), { upstreams: ['192.0.2.54'], forward: true }, 'its network’s');
  assert.deepEqual(d.policy(from('2', 4)), { upstreams: servers, forward: true }, 'its own all the same');
  assert.equal(d.policy({ network: '2', address: '192.0.2.1' }), undefined, 'a stranger');
  assert.equal(d.policy({ network: '9', address: '10.0.9.2' }), undefined);
});

test('SRV tells who has the port', () => {
  const d = new Directory(services);
  d.putNetwork(network('1'));
  for (const name of ['a', 'b', 'c']) d.putContainer(container(name));
  const port = (containerPort: number): Endpoint['ports'] => [
    { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 9, containerPort, count: 2 },
  ];
  d.putEndpoint(endpoint('a', '1', 2, { aliases: ['web'], ports: port(79) }));
  d.putEndpoint(endpoint('b', '1', 3, { aliases: ['web'], ports: port(81) }));
  d.putEndpoint(endpoint('c', '1', 4, { aliases: ['web'] }));
  const targets = (service: string): unknown =>
    d.srv(from('1', 2), service, 'tcp', 'web')?.map((t) => [t.target, t.port]);
  assert.deepEqual(targets('http'), [
    ['a', 80],
    ['c', 80],
  ]);
  assert.deepEqual(targets('81'), [
    ['b', 81],
    ['c', 81],
  ]);
  assert.deepEqual(targets('no-such-service'), []);
  assert.equal(d.srv(from('1', 2), 'http', 'tcp', 'nobody'), undefined);
});

test('whatever comes and goes in whatever order, it holds what is there', () => {
  const step = fc.record({ add: fc.boolean(), of: fc.constantFrom('a', 'b', 'c'), net: fc.constantFrom('1', '2') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const d = new Directory(services);
      for (const id of ['1', '2']) d.putNetwork(network(id));
      for (const name of ['a', 'b', 'c']) d.putContainer(container(name));
      const there = new Map<string, Endpoint>();
      for (const [i, { add, of, net }] of steps.entries()) {
        const key = `${of} ${net}`;
        const had = there.get(key);
        if (had) d.dropEndpoint(had.id);
        there.delete(key);
        if (!add) continue;
        const one = endpoint(of, net, i + 2, { aliases: ['all'] });
        d.putEndpoint(one);
        if (i % 3 === 0) d.putEndpoint(one); // told twice
        there.set(key, one);
      }
      for (const net of ['1', '2']) {
        const asker = { network: net, address: 'nobody' };
        const expected = [...there.values()]
          .filter((e) => e.network === net)
          .map((e) => e.addresses[0]!.split('/')[0]!);
        assert.deepEqual(d.lookup(asker, 'all')?.toSorted(), expected.length === 0 ? undefined : expected.toSorted());
        for (const name of ['a', 'b', 'c'])
          assert.equal(d.lookup(asker, name)?.length ?? 0, there.has(`${name} ${net}`) ? 1 : 0);
      }
    }),
    { numRuns: 300 },
  );
});

test('ports of services, by name and by number', () => {
  assert.equal(portNumber(services, 'https', 'tcp'), 443);
  assert.equal(portNumber(services, '8080', 'udp'), 8080);
  assert.equal(portNumber(services, '99999', 'tcp'), undefined);
  assert.equal(portNumber(services, 'https', 'sctp'), undefined);
});
