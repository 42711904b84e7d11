/** Address pools: addresses for networks that somebody else makes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contains, parsePrefix } from '../../src/addr/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ipBatch } from '../lib/run.ts';

test('a pool is made once, gives each owner one address, and keeps what is its own', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  const asked = { name: 'lab', subnet: '10.7.0.0/28', gateway: 'none', auxAddresses: { router: '10.7.0.9' } };
  const pool = await engine.poolCreate(asked);
  assert.deepEqual(await engine.poolCreate(asked), pool);
  await assert.rejects(engine.poolCreate({ name: 'lab', subnet: '10.8.0.0/24' }), { code: 'ENAMETAKEN' });
  await assert.rejects(engine.poolCreate({ subnet: '10.7.0.8/29' }), {
    code: 'ESUBNETOVERLAP',
    message: /overlaps 10\.7\.0\.0\/28 of address pool lab/,
  });
  const one = await engine.addressAllocate({ pool: 'lab', owner: 'cni:a:1:eth0' });
  assert.equal(one.address, '10.7.0.1/28');
  assert.deepEqual(await engine.addressAllocate({ pool: pool.id, owner: 'cni:a:1:eth0' }), one);
  await assert.rejects(engine.addressAllocate({ pool: 'lab', owner: 'b', address: '10.7.0.1' }), {
    code: 'EADDRTAKEN',
    message: 'address 10.7.0.1 of address pool lab is taken: cni:a:1:eth0 has it',
  });
  await assert.rejects(engine.addressAllocate({ pool: 'lab', owner: 'b', address: '10.7.0.9' }), {
    code: 'EADDRTAKEN',
    message: /auxiliary address router/,
  });
  await assert.rejects(engine.addressAllocate({ pool: 'lab', owner: 'cni:a:1:eth0', address: '10.7.0.5' }), {
    code: 'EADDRTAKEN',
  });
  // the first address is somebody's: the gateway is the next
  const gateway = await engine.addressAllocate({ pool: 'lab', owner: 'gw', as: 'gateway' });
  assert.equal(gateway.address, '10.7.0.2/28');
  assert.deepEqual(await engine.addressAllocate({ pool: 'lab', owner: 'gw', as: 'gateway' }), gateway);
  await engine.addressAllocate({ pool: 'lab', owner: 'printer', as: 'auxiliary', address: '10.7.0.14' });

  const detail = await engine.poolInspect('lab');
  assert.equal(detail.gateway, '10.7.0.2');
  assert.deepEqual(detail.auxAddresses, { router: '10.7.0.9', printer: '10.7.0.14' });
  assert.deepEqual(detail.allocations, [one]);
  await assert.rejects(engine.poolRemove('lab'), { code: 'EPOOLINUSE', message: /cni:a:1:eth0 has 10\.7\.0\.1\/28/ });
  // a collection takes them for nobody's leftovers
  assert.deepEqual((await engine.gc()).value.reclaimed, []);

  await engine.addressRelease({ pool: 'lab', owner: 'somebody else' });
  await engine.addressRelease({ pool: 'lab', address: '10.7.0.1/28' });
  await engine.addressRelease({ pool: 'lab', owner: 'cni:a:1:eth0' });
  assert.deepEqual((await engine.poolInspect('lab')).allocations, []);
  await engine.addressAllocate({ pool: 'lab', owner: 'cni:a:1:eth0', address: '10.7.0.1' });
  await engine.poolRemove('lab', { force: true });
  await assert.rejects(engine.poolInspect('lab'), { code: 'EPOOLNOTFOUND' });
  assert.deepEqual(await engine.poolList(), []);
});

test('a chosen subnet is nobody’s: no route, no network, no pool has it, and no network takes it', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  await ipBatch(bed.host.netns, ['route add blackhole 172.18.0.0/24']);
  const { value: web } = await engine.networkCreate({ name: 'web' });
  const pool = await engine.poolCreate({ name: 'lab' });
  const six = await engine.poolCreate({ family: 6 });
  const { value: next } = await engine.networkCreate({ name: 'next' });
  assert.deepEqual(
    [web.subnets[0]?.subnet, pool.subnet, pool.gateway, next.subnets[0]?.subnet],
    ['172.18.1.0/24', '172.18.2.0/24', '172.18.2.1', '172.18.3.0/24'],
  );
  assert.match(six.subnet, /^fd.*\/64$/);
  // whoever has the pool makes a network of it
  const { value: own } = await engine.networkCreate({ name: 'own', subnets: [{ subnet: pool.subnet }] });
  assert.equal(own.subnets[0]?.subnet, pool.subnet);
});

test('two engines on one store, each asking for hundreds at once: no address twice, each owner one', async () => {
  await using bed = await makeEngineBed();
  await using other = await bed.open();
  const [a, b] = await Promise.all([bed.engine, other].map((engine) => engine.poolCreate({ name: 'lab' })));
  assert.deepEqual(a, b);
  const owners = Array.from({ length: 120 }, (_, i) => `owner ${i}`);
  const answers = await Promise.all(
    // every owner is asked for by both
    [bed.engine, other].flatMap((engine) => owners.map((owner) => engine.addressAllocate({ pool: 'lab', owner }))),
  );
  const byOwner = new Map(answers.map(({ owner, address }) => [owner, address]));
  assert.equal(byOwner.size, owners.length);
  assert.equal(new Set(answers.map(({ address }) => address)).size, owners.length);
  const subnet = parsePrefix(a!.subnet);
  for (const address of byOwner.values()) assert.ok(contains(subnet, parsePrefix(address).address), address);
  await Promise.all(owners.map((owner, i) => (i % 2 ? other : bed.engine).addressRelease({ pool: 'lab', owner })));
  assert.deepEqual((await other.poolInspect('lab')).allocations, []);
});

test('whatever is asked in whatever order: an address has one owner, an owner one address', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  const owner = fc.nat(5).map((n) => `owner ${n}`);
  const address = fc.nat(7).map((n) => `10.7.0.${n}`);
  const step = fc.oneof(
    fc.record({ verb: fc.constant('allocate' as const), owner, address: fc.option(address, { nil: undefined }) }),
    fc.record({ verb: fc.constant('release' as const), owner, address: fc.constant(undefined) }),
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { id } = await engine.poolCreate({ name: `lab${run++}`, subnet: '10.7.0.0/29' });
      const held = new Map<string, string>();
      for (const { verb, ...asked } of steps) {
        const had = held.get(asked.owner);
        if (verb === 'release') {
          await engine.addressRelease({ pool: id, owner: asked.owner });
          held.delete(asked.owner);
          continue;
        }
        const spec = { pool: id, owner: asked.owner, ...(asked.address !== undefined && { address: asked.address }) };
        const got = await engine.addressAllocate(spec).then(
          (answer) => answer.address.split('/')[0],
          (error: { code: string }) => error.code,
        );
        const others = [...held].filter(([who]) => who !== asked.owner).map(([, what]) => what);
        if (had !== undefined)
          assert.equal(got, asked.address === undefined || asked.address === had ? had : 'EADDRTAKEN');
        else if (asked.address === undefined && others.length === 5) assert.equal(got, 'EPOOLEXHAUSTED');
        else if (asked.address !== undefined && [...others, '10.7.0.0', '10.7.0.1', '10.7.0.7'].includes(asked.address))
          assert.equal(got, 'EADDRTAKEN');
        else {
          assert.match(got ?? '', /^10\.7\.0\.[2-6]$/);
          assert.ok(!others.includes(got ?? ''), `${got} is another's`);
          held.set(asked.owner, got ?? '');
        }
      }
      const { allocations } = await engine.poolInspect(id);
      assert.deepEqual(new Map(allocations.map((each) => [each.owner, each.address.split('/')[0]])), held);
      await engine.poolRemove(id, { force: true });
    }),
    { numRuns: 25 },
  );
});
