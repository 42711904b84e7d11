import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '../model/index.ts';
import { EventHub } from './events.ts';

async function take(events: AsyncIterator<EngineEvent>, count: number): Promise<string[]> {
  const names: string[] = [];
  while (names.length < count) {
    const { value, done } = await events.next();
    if (done) break;
    names.push(`${value.type} ${value.action} ${value.name}`);
  }
  return names;
}
const event = (name: string, type: EngineEvent['type'] = 'repair') => ({ type, action: 'x', name });

test('each listener gets what it asked for; queries only when asked for by name', async () => {
  using hub = new EventHub();
  hub.publish(event('early'));
  const all = hub.subscribe({});
  const dns = hub.subscribe({ types: ['dns'] });
  hub.publish(event('a'));
  hub.publish(event('q', 'dns'));
  hub.publish(event('b', 'gc'));
  assert.deepEqual(await take(all, 3), ['repair x early', 'repair x a', 'gc x b']);
  assert.deepEqual(await take(dns, 1), ['dns x q']);
});

test('a reader that is busy loses events rather than memory, and is told how many', async () => {
  using hub = new EventHub();
  const slow = hub.subscribe({});
  for (let i = 0; i < 10_050; i++) hub.publish(event(String(i)));
  await take(slow, 10_000);
  const { value } = await slow.next();
  assert.deepEqual([value?.type, value?.action, value?.attributes], ['engine', 'behind', { lost: '50' }]);
});

test('a subscription ends by its signal, by return, and with the hub; a waiting reader wakes', async () => {
  const hub = new EventHub();
  const stop = new AbortController();
  const [one, two, three] = [hub.subscribe({}, stop.signal), hub.subscribe({}), hub.subscribe({})];
  const waiting = [one, two, three].map((events) => events.next());
  stop.abort();
  await two.return?.();
  assert.equal(hub.listeners, 1);
  hub[Symbol.dispose]();
  for (const { done } of await Promise.all(waiting)) assert.equal(done, true);
  assert.equal((await hub.subscribe({}).next()).done, true);
});

test('whoever makes events at a cost is told when somebody wants them', async () => {
  using hub = new EventHub();
  const told: boolean[] = [];
  hub.onInterest('dns', (wanted) => told.push(wanted));
  const one = hub.subscribe({ types: ['dns'] });
  const two = hub.subscribe({ types: ['dns', 'gc'] });
  hub.subscribe({});
  await one.return?.();
  await two.return?.();
  assert.deepEqual(told, [false, true, false]);
});
