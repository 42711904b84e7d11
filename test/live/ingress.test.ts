// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetloomError } from '../../src/errors.ts';
import { type Endpoint, parsePublish, type PortSpec } from '../../src/model/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Host, type Machines, makeMachines, makeNetwork, pings, plugIn, type Workload } from '../lib/machines.ts';
import { type Answer, tcpConnect, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** Somebody on the hosts' segment who knows nothing of them. */
async function makeClient({ wire }: Machines): Promise<Netns> {
  const client = Netns.create();
  await plugIn(wire, client, 'eth0', 'portc', ['192.0.2.99/24', '2001:db8::99/64']);
  return client;
}

const seenBy = (answer: Answer): string => (answer.ok ? answer.seen.client : answer.error);
const outer = (i: number): readonly string[] => [`192.0.2.${i}`, `2001:db8::${i}`];
const bare = (address: string): string => address.split('/')[0]!;

/** What a host is called by those that it speaks to in a network. */
async function ownOf({ engine }: Host, network: string): Promise<readonly string[]> {
  const { overlay, subnets } = await engine.networkInspect(network);
  return overlay?.plan === 'flat' ? overlay.self.hostAddresses!.map(bare) : subnets.map(({ gateway }) => gateway);
}

test('ports of every node lead to their endpoint from each, by every plan; a host itself reaches endpoints elsewhere', async (t) => {
  await using machines = await makeMachines(3);
  using client = await makeClient(machines);
  const [one, two, three] = machines.hosts;
  assert.ok(one && two && three);
  for (const [i, [plan, backend]] of (
    [
      ['flat', 'vxlan'],
      ['node', 'vxlan'],
      ['node', 'host-gw'],
    ] as const
  ).entries()) {
    const network = `net${i}`;
    const port = 8080 + i;
    await t.test(`${plan}, ${backend}`, async () => {
      await makeNetwork(machines, { name: network, driver: 'overlay', ipv6: true, options: { plan, backend } });
      const far: Workload = await two.workload(`w${i}`, network);
      const [id] = (await two.engine.endpointList()).flatMap((e) =>
        e.addresses.some((a) => bare(a) === far.addresses[0]) ? [e.id] : [],
      );
      await using servers = new AsyncDisposableStack();
      for (const address of ['0.0.0.0', '::']) {
        servers.use(await tcpServer(far.netns, address, 80));
        servers.use(await udpEcho(far.netns, address, 80));
      }
      const own = await ownOf(one, network);
      for (const [f, address] of far.addresses.entries()) {
        await until(`ping ${address}`, () => pings(one.netns, address));
        if (plan === 'flat') {
          assert.equal(seenBy(await tcpConnect(one.netns, address, 80)), own[f]);
          assert.ok(await pings(far.netns, own[f]!));
        }
      }
      await two.engine.endpointUpdate(id!, {
        publish: ['tcp', 'udp'].map((protocol) =>
          parsePublish(`mode=ingress,published=${port},target=80,protocol=${protocol}`),
        ),
      });
      // all of them once; by the others, the one that is not its own
      for (const [h, host] of machines.hosts.slice(0, plan === 'flat' ? 3 : 1).entries()) {
        const local = host === two;
        const called = await ownOf(host, network);
        for (const [f, address] of outer(h + 1).entries()) {
          const expected = local ? outer(99)[f] : called[f];
          for (const connect of [tcpConnect, udpConnect]) {
            let last = '';
            await until(`${connect.name} ${address}`, async () => {
              last = seenBy(await connect(client, address, port, { timeout: 300 }));
              return last === expected;
            });
          }
          // from the host itself
          if (f === 0 && h === 0)
            assert.ok((await tcpConnect(host.netns, address, port)).ok, `from ${host.name} itself`);
        }
      }
    });
  }
});

test('a port of every node is one endpoint’s: conflicts, what is taken here, freed at detach, kept while its node is away', async () => {
  await using machines = await makeMachines(3);
  using client = await makeClient(machines);
  const [one, two, three] = machines.hosts;
  assert.ok(one && two && three);
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', options: { plan: 'node' } });
  const publish = (text: string): { readonly publish: readonly PortSpec[] } => ({ publish: [parsePublish(text)] });
  const everywhere = publish('mode=ingress,published=8080,target=80');
  const endpointOf = async ({ engine }: Host): Promise<Endpoint> => (await engine.endpointList())[0]!;
  const reached = async (host: number): Promise<boolean> =>
    (await tcpConnect(client, outer(host)[0]!, 8080, { timeout: 300 })).ok;

  // refused before anything is changed
  const beside = await one.workload('w0', 'pods');
  const near = await endpointOf(one);
  for (const [text, code, message] of [
    ['mode=ingress,published=8080,target=80,host_ip=192.0.2.1', 'EBADPORT', /on every address/],
    ['mode=ingress,target=80', 'EBADPORT', /chosen by whoever/],
    ['mode=ingress,published=8000-8200,target=8000-8200', 'EBADPORT', /100 ports/],
  ] as const) {
    await assert.rejects(one.engine.endpointUpdate(near.id, publish(text)), { code, message });
  }
  await makeNetwork(machines, { name: 'lonely', driver: 'overlay', options: { icc: 'false' } });
  await makeNetwork(machines, { name: 'inside', driver: 'overlay', internal: true });
  for (const [network, code] of [
    ['lonely', 'ENOPUBLISH'],
    ['inside', 'EINTERNAL_NETWORK'],
  ] as const) {
    const spec = { tap: true, netns: '', network, ports: everywhere.publish } as const;
    await assert.rejects(one.engine.endpointAttach(spec), { code });
  }

  // a program on the third host has the port when it comes
  await using taken = new AsyncDisposableStack();
  taken.use(await tcpServer(three.netns, '0.0.0.0', 8080, 'a program of the host'));
  const far = await two.workload('w0', 'pods');
  const there = await endpointOf(two);
  await using _ = await tcpServer(far.netns, '0.0.0.0', 80);
  await two.engine.endpointUpdate(there.id, everywhere);
  await until('reached by the first host', () => reached(1));
  assert.ok(await reached(2));
  const faultsOf = async ({ engine, name }: Host): Promise<string> =>
    (await engine.nodeCheck([name]).catch(() => [])).map(({ text }) => text).join('\n');
  await until('the third host says so', async () =>
    /8080->80\/tcp: another program has it here/.test(await faultsOf(three)),
  );
  const answer = await tcpConnect(client, outer(3)[0]!, 8080);
  assert.equal(answer.ok && answer.seen.reply, 'a program of the host');
  await taken.disposeAsync();
  await until('the third host serves it, too', () => reached(3));
  await until('and is content', async () => !/8080/.test(await faultsOf(three)));

  // whose it is, is told to whoever wants it too: on every node, or on one where it is served
  await assert.rejects(one.engine.endpointUpdate(near.id, everywhere), {
    code: 'EPORTTAKEN',
    message: /w0-host2 on node host2/,
  });
  await assert.rejects(one.engine.endpointUpdate(near.id, publish('8080:80')), {
    code: 'EPORTTAKEN',
    message: /on node host2/,
  });

  // with etcd away what runs goes on, new ones are refused, and what is given up is free when it is back
  await machines.etcd.kill(0);
  assert.ok(await reached(1));
  await assert.rejects(
    one.engine.endpointUpdate(near.id, publish('mode=ingress,published=9090,target=80')),
    (error: NetloomError) => ['EETCDAWAY', 'ETENURELOST'].includes(error.code),
  );
  await two.engine.endpointUpdate(there.id, { unpublish: [{ protocol: 'tcp', hostPort: 8080, count: 1 }] });
  machines.etcd.start(0);
  await until(
    'it is free',
    async () => (await one.engine.endpointUpdate(near.id, everywhere)).value.ports.length === 1,
    {
      timeout: 60_000,
    },
  );
  await using _near = await tcpServer(beside.netns, '0.0.0.0', 80);
  await until('and the other’s', () => reached(3));

  // its host gone without a word, the others keep what leads to it until it is removed
  await one.engine[Symbol.asyncDispose]();
  await until(
    'it is down',
    async () => (await two.engine.nodeList()).find(({ name }) => name === 'host1')?.state === 'down',
    { timeout: 30_000 },
  );
  assert.ok(await reached(3));
  await assert.rejects(two.engine.endpointUpdate(there.id, everywhere), { code: 'EPORTTAKEN' });
  await two.engine.nodeRemove('host1', { force: true });
  await until('nothing leads there', async () => !(await reached(3)));
  await until(
    'and it is free',
    async () => (await two.engine.endpointUpdate(there.id, everywhere)).value.ports.length === 1,
  );
  await until('and the second’s again', () => reached(3));
  await two.engine.endpointDetach(there.id);
  await until('detached, it is nobody’s', async () => !(await reached(3)));
  await until('and nothing of it is left', async () => {
    const keys = await machines.etcd.ctl('get', '--prefix', '--keys-only', '/netloom/keys/');
    return !/claims\/ports/.test(keys);
  });
});
