import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePublish, type PortSpec, type PublishedPort, type UnpublishSpec } from '../model/index.ts';
import { askedAfter, askedWithout, unpublished } from './unpublish.ts';

/** What a spec gives on a dual-stack network, as `claimPorts` does; a port that is left to chance gets 50000. */
function publish(spec: PortSpec): PublishedPort[] {
  const addresses = spec.hostAddress === undefined ? ['0.0.0.0', '::'] : [spec.hostAddress];
  return addresses.map((hostAddress) => ({
    protocol: spec.protocol,
    hostAddress,
    hostPort: spec.hostPort === 0 ? 50_000 : spec.hostPort,
    containerPort: spec.containerPort,
    count: spec.count,
  }));
}
const asked = ['8080:80', '127.0.0.1:9000:80', '8000-8010:8000-8010', '80', '5353:53/udp'].map(parsePublish);
const ports = asked.flatMap(publish);
const un = (text: string): UnpublishSpec => {
  const { protocol, hostAddress, hostPort, count } = parsePublish(text);
  return { protocol, hostPort, count, ...(hostAddress !== undefined && { hostAddress }) };
};
const texts = (found: readonly PublishedPort[]): string[] => found.map((p) => `${p.hostAddress} ${p.hostPort}`);

test('ports are found by number, protocol and address', () => {
  assert.deepEqual(texts(unpublished(ports, [un('8080:1')], 'web')), ['0.0.0.0 8080', ':: 8080']);
  assert.deepEqual(texts(unpublished(ports, [un('[::]:8080:1')], 'web')), [':: 8080']);
  assert.deepEqual(texts(unpublished(ports, [un('9000:1'), un('5353:1/udp')], 'web')), [
    '127.0.0.1 9000',
    '0.0.0.0 5353',
    ':: 5353',
  ]);
  assert.deepEqual(texts(unpublished(ports, [un('8000-8010:1-11')], 'web')), ['0.0.0.0 8000', ':: 8000']);
  for (const text of ['8081:1', '5353:1', '0.0.0.0:9000:1', '8009-8011:1-3', '8005:1', '8010-8011:1-2']) {
    assert.throws(() => unpublished(ports, [un(text)], 'web'), { code: 'EPORTNOTPUBLISHED' }, text);
  }
});

test('what is asked for from then on', () => {
  const after = (text: string): PortSpec[] => askedAfter(asked, ports, unpublished(ports, [un(text)], 'web'));
  assert.deepEqual(after('8080:1'), asked.slice(1));
  assert.deepEqual(after('[::]:8080:1'), [{ ...asked[0], hostAddress: '0.0.0.0' }, ...asked.slice(1)]);
  assert.deepEqual(after('50000:1'), asked.toSpliced(3, 1), 'a random one, by the number that it got');
});

test('the same of a container that is not there now', () => {
  const without = (text: string): PortSpec[] => askedWithout(asked, { unpublish: [un(text)] }, 'web');
  assert.deepEqual(without('8080:1'), asked.slice(1));
  assert.deepEqual(without('0.0.0.0:8080:1'), [{ ...asked[0], hostAddress: '::' }, ...asked.slice(1)]);
  for (const text of ['8081:1', '8005:1', '50000:1', '[::]:9000:1'])
    assert.throws(() => without(text), { code: 'EPORTNOTPUBLISHED' }, text);
  const both = askedWithout(asked, { unpublish: [un('8080:1')], publish: [parsePublish('8080:81')] }, 'web');
  assert.deepEqual(both, [...asked.slice(1), parsePublish('8080:81')]);
});

test('publishing what is asked for after any unpublishing gives just what is left', () => {
  const spec = fc.record({
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    hostPort: fc.integer({ min: 1000, max: 1100 }),
    containerPort: fc.integer({ min: 1, max: 100 }),
    count: fc.constantFrom(1, 1, 3),
  });
  const key = (p: { hostPort: number; protocol: string }): string => `${p.protocol} ${p.hostPort - (p.hostPort % 3)}`;
  fc.assert(
    fc.property(fc.uniqueArray(spec, { selector: key }), fc.infiniteStream(fc.boolean()), (list, coin) => {
      const specs = list.map((s): PortSpec => ({ ...s, hostPort: s.hostPort - (s.hostPort % 3) }));
      const all = specs.flatMap(publish);
      const removed = all.filter(() => coin.next().value);
      const left = all.filter((port) => !removed.includes(port));
      const again = askedAfter(specs, all, removed).flatMap(publish);
      assert.deepEqual(new Set(again.map((p) => JSON.stringify(p))), new Set(left.map((p) => JSON.stringify(p))));
    }),
  );
});
