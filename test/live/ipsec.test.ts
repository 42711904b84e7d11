// runs: in the guest (ESP, interfaces of kind xfrm)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawEpoch } from '../../src/keys/index.ts';
import { bothReach, cryptState, listen, makeCryptBed, startTraffic } from '../lib/crypt-bed.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { okIn } from '../lib/run.ts';

checkDescriptors();

for (const family of [4, 6] as const) {
  test(`two hosts over IPv${family}: both families inside, nothing in the clear, new keys without loss, nothing left`, async () => {
    await using bed = await makeCryptBed('ipsec', family);
    const { hosts } = bed;
    const [a, b] = hosts;
    const before = await Promise.all(hosts.map(({ netns }) => cryptState(netns)));
    for (const host of hosts) await host.settle();
    for (const host of hosts) assert.deepEqual(await host.differences(), [], 'it reads back');
    const heard = await listen(a);
    assert.ok(await bothReach(bed));
    // the host itself, by its own address in the network
    await okIn(a.netns, ['ping', '-n', '-c', '1', '-W', '5', '-I', '10.244.1.0', b.addresses[0] ?? '']);
    const lines = await heard.lines(/ESP[\s\S]*ESP[\s\S]*ESP/);
    for (const line of lines) assert.match(line, /ESP\(spi=0x|ICMP6, (neighbor|router)|igmp|HBH/, 'in the clear');
    assert.match(await okIn(a.netns, ['ip', 'route', 'get', '10.244.9.9']), /dev xf-0123456789ab /);

    await using traffic = startTraffic(bed);
    await traffic.goesOn();
    const [old = ''] = a.words.epochs;
    const next = drawEpoch();
    // the one that changes hears by the new one before anybody is told; each step is told once it is done
    for (const epochs of [[old, next], [next, old], [next]]) {
      a.words = { ...a.words, epochs };
      await a.settle();
      await b.settle();
      await traffic.goesOn();
    }
    assert.deepEqual((await traffic.stop()).ways, []);
    for (const host of hosts) assert.deepEqual(await host.differences(), [], 'after the change');
    assert.equal((await okIn(a.netns, ['ip', 'xfrm', 'state'])).match(/^src/gm)?.length, 2, 'one each way');

    for (const host of hosts) await host.remove();
    assert.deepEqual(await Promise.all(hosts.map(({ netns }) => cryptState(netns))), before);
    // with the same epochs the keys would serve twice
    await assert.rejects(a.settle(), { code: 'EKEYUSED', message: /had its key before/ });
    assert.deepEqual(await cryptState(a.netns), before[0], 'refused, it leaves nothing');
    a.words = { ...a.words, epochs: [drawEpoch()] };
    b.words = { ...b.words, epochs: [drawEpoch()] };
    for (const host of hosts) await host.settle();
    assert.ok(await bothReach(bed));
  });
}
