import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { ADDRESS, makeHost } from '../../test/lib/host.ts';
import { ipBatch, okIn } from '../../test/lib/run.ts';
import { type Result, sideBySide } from '../lib/measure.ts';
import { asker, serveTraffic } from '../lib/traffic.ts';

const PORT = 5000;
const PUBLISHED = 8080;
const TURN_MS = 60;
const ROUNDS = 101;

/** Two workloads on one bridge, an outside, and a port of the second workload published on the host. */
interface Place extends AsyncDisposable {
  /** Bytes or round trips a second from one machine to an address. */
  from(who: 'workload' | 'outside', what: 'stream' | 'rr', address: string, port: number): Promise<number>;
  /** The second workload's address. */
  readonly target: string;
}

/**
 * The same packets through a host that netloom made and one made by hand with `ip` and `iptables`, as Docker's guides
 * tell: container to container, container to outside by masquerade, outside to a published port.
 */
export async function datapath(): Promise<Result[]> {
  await using ours = await byNetloom();
  await using reference = await byHand();
  const results: Result[] = [];
  const cases = [
    ['bridge', 'workload', (place: Place) => [place.target, PORT]],
    ['nat', 'workload', () => [ADDRESS.internet, PORT]],
    ['publish', 'outside', () => [ADDRESS.host, PUBLISHED]],
  ] as const;
  for (const [name, who, to] of cases) {
    for (const [suffix, what, unit, scale] of [
      ['tcp', 'stream', 'Gbit/s', 8e-9],
      ['rr', 'rr', '/s', 1],
    ] as const) {
      const side = (place: Place) => async (): Promise<number> => {
        const [address, port] = to(place) as [string, number];
        return (await place.from(who, what, address, port)) * scale;
      };
      results.push(
        await sideBySide({
          name: `datapath/${name}-${suffix}`,
          unit,
          rounds: ROUNDS,
          ours: side(ours),
          reference: side(reference),
        }),
      );
    }
  }
  return results;
}

async function byNetloom(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const host = stack.use(await makeHost());
  const { stateDir, runDir } = dirs;
  const engine = stack.use(await openEngine({ stateDir, runDir, netns: Netns.open(`/proc/self/fd/${host.netns.fd}`) }));
  await engine.networkCreate({ name: 'bench', subnets: [{ subnet: '10.64.0.0/16' }] });
  const workloads: Netns[] = [];
  const addresses: string[] = [];
  for (const ports of [[], [{ protocol: 'tcp', hostPort: PUBLISHED, containerPort: PORT, count: 1 }]] as const) {
    const netns = stack.use(Netns.create());
    const path = `/proc/${process.pid}/fd/${netns.fd}`;
    const { value } = await engine.endpointAttach({ netns: path, network: 'bench', ports });
    workloads.push(netns);
    addresses.push(value.addresses[0]!.split('/')[0]!);
  }
  return await place(stack.move(), { outside: host.outside, workloads, target: addresses[1]! });
}

async function byHand(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await makeHost());
  const workloads = [stack.use(Netns.create()), stack.use(Netns.create())];
  await ipBatch(host.netns, [
    'link add br0 up type bridge',
    'addr add 10.64.0.1/16 dev br0',
    ...workloads.flatMap((netns, i) => [
      `link add v${i} master br0 up type veth peer name eth0 netns /proc/${process.pid}/fd/${netns.fd}`,
    ]),
  ]);
  for (const [i, netns] of workloads.entries()) {
    await ipBatch(netns, [
      'link set lo up',
      `addr add 10.64.0.${i + 2}/16 dev eth0`,
      'link set eth0 up',
      'route add default via 10.64.0.1',
    ]);
  }
  const rules = [
    `-t nat -A POSTROUTING -s 10.64.0.0/16 ! -o br0 -j MASQUERADE`,
    `-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport ${PUBLISHED} -j DNAT --to-destination 10.64.0.3:${PORT}`,
    '-P FORWARD DROP',
    '-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    `-A FORWARD -d 10.64.0.3/32 ! -i br0 -o br0 -p tcp --dport ${PORT} -j ACCEPT`,
    '-A FORWARD -i br0 ! -o br0 -j ACCEPT',
    '-A FORWARD -i br0 -o br0 -j ACCEPT',
  ];
  const script = ['sysctl -qw net.ipv4.ip_forward=1', ...rules.map((rule) => `iptables ${rule}`)].join('\n');
  await okIn(host.netns, ['sh', '-ec', script]);
  return await place(stack.move(), { outside: host.outside, workloads, target: '10.64.0.3' });
}

/** Servers where they are needed, and one asker on each machine that asks. */
async function place(
  stack: AsyncDisposableStack,
  { outside, workloads, target }: { outside: Netns; workloads: readonly Netns[]; target: string },
): Promise<Place> {
  await using undo = stack;
  for (const netns of [workloads[1]!, outside]) await serveTraffic(undo, netns, PORT);
  const askers = { workload: asker(undo, workloads[0]!), outside: asker(undo, outside) };
  const kept = undo.move();
  return {
    target,
    from: (who, what, address, port) => askers[who](`${what} ${address} ${port} ${TURN_MS}`),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
