// runs: in the guest (ipvlan)
/** Addresses from the DHCP server of the LAN, which tells endpoints apart by their client identifiers alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { until } from '../lib/wait.ts';
import { addressesIn, listen, makeSite, RANGE, ROUTER, severalAtOnce } from './dhcp-engine-bed.ts';

checkDescriptors();

test('ipvlan: several at once, each with an address of its own', () =>
  severalAtOnce({ driver: 'ipvlan', options: { parent: 'lan0' } }));

test('ipvlan: a lease is renewed at the address that it is for', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},2m`, ROUTER);
  await using engine = await bed.open({ resident: true });
  await using events = listen(engine);
  await engine.networkCreate({ name: 'lan', driver: 'ipvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  const { netns, path } = await bed.workload('w');
  const { value } = await engine.endpointAttach({ network: 'lan', netns: path });
  assert.equal(value.mac, '');
  // T1, half of dnsmasq's shortest time
  await until('it is renewed', () => events.seen.some((e) => e.action === 'renew'), { timeout: 90_000 });
  assert.deepEqual(await addressesIn(netns), value.addresses);
  assert.deepEqual(
    events.seen.map((e) => e.action),
    ['bind', 'renew'],
    server.log(),
  );
});
