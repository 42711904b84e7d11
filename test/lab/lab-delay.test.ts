/** A delay is the kernel's netem, which many kernels lack. */
// runs: in the guest (netem)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { makeLab } from '../lib/lab.ts';
import { jsonIn } from '../lib/run.ts';

checkDescriptors();

type Queue = { kind: string; options: { delay?: { delay: number }; rate?: { rate: number } } };

test('a cable that takes its time does so each way, with a rate beside it, and changes while it is up', async () => {
  await using lab = await makeLab({
    hosts: 2,
    spec: (plain) => ({
      ...plain,
      hosts: plain.hosts.map((host, i) => ({
        ...host,
        daemon: undefined,
        links: host.links.map((link) => ({ ...link, delay: i === 0 ? 25 : 0 })),
      })),
    }),
  });
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  const trip = async (): Promise<number> => {
    const text = await a.ok(['ping', '-c3', '-i0.2', '-W10', b.address4]);
    return Number(/= ([\d.]+)\//.exec(text)?.[1]);
  };
  // one cable, once each way: never less
  assert.ok((await trip()) >= 50);
  const queue = async (): Promise<Queue | undefined> =>
    (await jsonIn<Queue[]>(a.netns, ['tc', '-j', 'qdisc', 'show', 'dev', 'eth0'])).find(
      ({ kind }) => kind !== 'noqueue',
    );
  assert.equal((await queue())?.options.delay?.delay, 0.025);
  const spec = lab.place.mustRead().spec;
  const change = async (rate: number, delay: number): Promise<void> =>
    await lab.up({
      ...spec,
      hosts: spec.hosts.map((host) => ({ ...host, links: host.links.map((link) => ({ ...link, rate, delay })) })),
    });
  await change(8e6, 40);
  assert.ok((await trip()) >= 160, 'two cables now');
  assert.deepEqual((await queue())?.options.rate?.rate, 1e6);
  await change(8e6, 0);
  assert.equal((await queue())?.kind, 'tbf');
  await change(0, 0);
  assert.equal(await queue(), undefined);
});
