import { test } from 'node:test';
import { makeEngineBed } from '../lib/engine.ts';
import { bare } from '../lib/lan.ts';
import { ping } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
for (const guard of ['true', 'false'])
test('dbg '+guard, { timeout: 120_000 }, async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true, options: {guard}, subnets: [{ subnet: '172.30.0.0/16' }] });
  const first = await bed.workload('first');
  const last = await bed.workload('last');
  const { value: begin } = await engine.endpointAttach({ netns: first.path, network: 'web' });
  const attach = (): Promise<unknown> => engine.endpointAttach({ netns: '', tap: true, network: 'web' });
  const t0 = performance.now();
  for (let n = 0; n < 1000; n += 50) await Promise.all(Array.from({ length: 50 }, attach));
  console.log('ms each', (performance.now() - t0) / 1000);
  const { value: far } = await engine.endpointAttach({ netns: last.path, network: 'web' });
  console.log(far.bridge, far.hostIfname, far.mac, begin.mac);
  console.log((await okIn(host.netns, ['sh', '-c', `ip link | grep -A1 'n[jk]1-\\|brs1\\|${far.hostIfname}'; bridge -d link show | grep -A2 'n[jk]1-\\|${far.hostIfname}'`])));
  for (const a of bare(far.addresses)) console.log(a, await ping(first.netns, a), await ping(host.netns, a));
  console.log((await okIn(host.netns, ['sh', '-c', `bridge fdb | grep -i '${far.mac}\\|${begin.mac}\\|nj1\\|nk1'; ip neigh | grep '${bare(far.addresses)[0]} \\|${bare(begin.addresses)[0]} '; nft list ruleset | grep -c ve; nft list ruleset | grep 'counter packets [1-9]'`])));
  console.log(await okIn(first.netns, ['ip','neigh']));
});
