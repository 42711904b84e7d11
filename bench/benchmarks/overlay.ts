import { Netns } from '../../src/kernel/index.ts';
import { PACE } from '../../test/lib/pace.ts';
import { runIn } from '../../test/lib/run.ts';
import { type Result, sideBySide } from '../lib/measure.ts';
import { makeNodes, type Nodes } from '../lib/nodes.ts';
import { asker, serveTraffic } from '../lib/traffic.ts';
import { byHand, type Ends, type Way } from '../lib/tunnel.ts';

const PORT = 5000;
/** By a clock that counts instructions (tools/vm/main.ts) there is little noise, and seconds take long. */
const COUNTED = process.env['NETLOOM_VM_CLOCK'] === 'instructions';
/** Emulated by time, the beginning of a connection is long, and would be most of a turn. */
const TURN_MS = COUNTED ? 60 : 60 * PACE;
const ROUNDS = COUNTED ? 21 : 101;

/** By environment, some of them: `OVERLAY_WAYS=ipip,gre`. */
const ASKED = process.env['OVERLAY_WAYS']?.split(',');
const WAYS: Readonly<Record<Way, Readonly<Record<string, string>>>> = {
  vxlan: { backend: 'vxlan', plan: 'node' },
  'vxlan-flat': { backend: 'vxlan', plan: 'flat' },
  'host-gw': { backend: 'host-gw', plan: 'node' },
  ipip: { backend: 'ipip', plan: 'node' },
  gre: { backend: 'gre', plan: 'node' },
  wireguard: { backend: 'wireguard', plan: 'node' },
  ipsec: { backend: 'ipsec', plan: 'node' },
};

/**
 * TCP between workloads of two hosts, by our network and by the same tunnel made with `ip` and `bridge`: without any rule
 * set, and (`-tracked`) with the few rules that flannel has beside it. The turns are short and many: the machine's pace drifts more than the two differ.
 */
export async function overlay(): Promise<Result[]> {
  const results: Result[] = [];
  for (const [way, options] of Object.entries(WAYS) as [Way, Readonly<Record<string, string>>][]) {
    if (ASKED && !ASKED.includes(way)) continue;
    if (!(await isHere(way))) {
      console.error(`overlay/${way}: not here: this kernel lacks ${way}`);
      continue;
    }
    await using stack = new AsyncDisposableStack();
    const ours = await ask(stack, await byNetloom(stack.use(await makeNodes()), options));
    for (const [rules, end] of [
      ['none', ''],
      ['masquerade', '-tracked'],
    ] as const) {
      const reference = await ask(stack, await byHand(way, rules, stack));
      for (const [suffix, what, unit, scale] of [
        ['tcp', 'stream', 'Gbit/s', 8e-9],
        ['rr', 'rr', '/s', 1],
      ] as const) {
        const side = (from: typeof ours) => async (): Promise<number> => (await from(what)) * scale;
        const sides = { ours: side(ours), reference: side(reference) };
        results.push(await sideBySide({ name: `overlay/${way}-${suffix}${end}`, unit, rounds: ROUNDS, ...sides }));
      }
    }
  }
  return results;
}

async function byNetloom(nodes: Nodes, options: Readonly<Record<string, string>>): Promise<Ends> {
  await nodes.network({ name: 'bench', driver: 'overlay', options });
  const [one, two] = [await nodes.workload(0, 'bench'), await nodes.workload(1, 'bench')];
  return { workloads: [one.netns, two.netns], target: two.endpoint.addresses[0]!.split('/')[0]! };
}

/** The first asks the second, which listens. */
async function ask(
  stack: AsyncDisposableStack,
  { workloads: [one, two], target }: Ends,
): Promise<(what: 'stream' | 'rr') => Promise<number>> {
  await serveTraffic(stack, two, PORT);
  const question = asker(stack, one);
  return (what) => question(`${what} ${target} ${PORT} ${TURN_MS}`);
}

/** Whether the kernel makes such devices, tried in a namespace that goes at once. */
async function isHere(way: Way): Promise<boolean> {
  const device = DEVICES[way];
  if (device === undefined) return true;
  using netns = Netns.create();
  return (await runIn(netns, ['ip', 'link', 'add', 't0', 'type', ...device.split(' ')])).status === 0;
}
const DEVICES: Readonly<Partial<Record<Way, string>>> = {
  ipip: 'ipip local 192.0.2.1 remote 192.0.2.2',
  gre: 'gre local 192.0.2.1 remote 192.0.2.2',
  wireguard: 'wireguard',
  ipsec: 'xfrm dev lo if_id 1',
};
