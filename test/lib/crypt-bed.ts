import assert from 'node:assert/strict';
import { join } from 'node:path';
import { apply, removalOf } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import { Kernel, type KernelScope } from '../../src/engine/kernel.ts';
import { transition } from '../../src/engine/transition.ts';
import { type Fact, factKey } from '../../src/facts/index.ts';
import { drawEpoch, ensureKeyFile } from '../../src/keys/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { BackendName, Network, Overlay, Peer } from '../../src/model/index.ts';
import { backendOf } from '../../src/overlay/index.ts';
import { makeDirs } from './dirs.ts';
import { Pinging } from './pinging.ts';
import { ipBatch, okIn, startIn } from './run.ts';
import { until } from './wait.ts';

/** What a host has told others, and keeps for itself. */
export interface Words {
  readonly keyFile: string;
  readonly publicKey: string;
  readonly epochs: readonly string[];
}

/** One of two hosts on a segment, with a workload behind it. */
export interface CryptHost {
  readonly netns: Netns;
  readonly workload: Netns;
  readonly kernel: KernelScope;
  readonly network: Network;
  /** `10.244.N.2` and `fd00:244:N::2`, of the workload. */
  readonly addresses: readonly string[];
  words: Words;
  /** What is wanted, as this host and the other have told. */
  facts(): Fact[];
  /** Leads from what was wanted when this was last called to what is wanted now. */
  settle(): Promise<void>;
  /** What differs from what is wanted, as `verb key`. */
  differences(): Promise<string[]>;
  remove(): Promise<void>;
}

export interface CryptBed extends AsyncDisposable {
  readonly hosts: readonly [CryptHost, CryptHost];
  /** A new key file. */
  newKey(): Pick<Words, 'keyFile' | 'publicKey'>;
}

const UNDERLAY = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const;
const ID = '0123456789abcdef'.repeat(4);

/** Two hosts joined by a pair, made with `ip`, that share a network by a backend that encrypts, over one family of underlay. */
export async function makeCryptBed(name: BackendName, family: 4 | 6): Promise<CryptBed> {
  await using undo = new AsyncDisposableStack();
  const dirs = undo.use(makeDirs());
  let keys = 0;
  const newKey = (): Pick<Words, 'keyFile' | 'publicKey'> => {
    const keyFile = join(dirs.stateDir, `${++keys}.key`);
    return { keyFile, publicKey: ensureKeyFile(keyFile) };
  };
  const spaces = [0, 1].map(() => ({ netns: undo.use(Netns.create()), workload: undo.use(Netns.create()) }));
  const [a, b] = spaces;
  assert.ok(a && b);
  await ipBatch(a.netns, [`link add eth0 type veth peer name eth0 netns /proc/${process.pid}/fd/${b.netns.fd}`]);
  for (const [i, { netns, workload }] of spaces.entries()) {
    const n = i + 1;
    await ipBatch(netns, [
      'link set lo up',
      'link set eth0 up',
      `addr add ${UNDERLAY[family][i]}/${family === 4 ? 24 : '64 nodad'} dev eth0`,
      `link add br0 type veth peer name eth0 netns /proc/${process.pid}/fd/${workload.fd}`,
      'link set br0 up',
      `addr add 10.244.${n}.1/24 dev br0`,
      `addr add fd00:244:${n}::1/64 dev br0 nodad`,
    ]);
    await ipBatch(workload, [
      'link set lo up',
      'link set eth0 up',
      `addr add 10.244.${n}.2/24 dev eth0`,
      `addr add fd00:244:${n}::2/64 dev eth0 nodad`,
      `route add default via 10.244.${n}.1`,
      `route add default via fd00:244:${n}::1`,
    ]);
  }
  const driver = backendOf(name);
  const hosts = spaces.map(({ netns, workload }, i): CryptHost => {
    const kernel = undo.use(undo.use(new Kernel(Netns.open(`/proc/self/fd/${netns.fd}`))).scope());
    let before: readonly Fact[] = [];
    const host: CryptHost = {
      netns,
      workload,
      kernel,
      network: networkOf(),
      addresses: [`10.244.${i + 1}.2`, `fd00:244:${i + 1}::2`],
      words: { ...newKey(), epochs: [drawEpoch()] },
      facts() {
        const peer = hosts[1 - i];
        assert.ok(peer);
        const overlay = overlayOf(name, peerOf(name, family, i, host.words), host.words);
        const { keyFile: _, ...told } = peer.words;
        return [
          ...driver.networkFacts(host.network, overlay),
          ...driver.peerFacts(host.network, overlay, peerOf(name, family, 1 - i, told)),
        ];
      },
      async settle() {
        const now = host.facts();
        await apply(kernel, transition(before, now));
        before = now;
      },
      async differences() {
        return (await missing(kernel, host.facts())).map(({ verb, fact }) => `${verb} ${factKey(fact)}`);
      },
      async remove() {
        await apply(kernel, removalOf(host.facts()));
        before = [];
      },
    };
    return host;
  });
  const [first, second] = hosts;
  assert.ok(first && second);
  const kept = undo.move();
  return { hosts: [first, second], newKey, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Everything that tools see of what may be encrypted, and by what; without keys and counters. */
export async function cryptState(netns: Netns): Promise<unknown> {
  const xfrm = await okIn(netns, ['ip', 'xfrm', 'state']);
  const links = await okIn(netns, ['ip', '-o', 'link']);
  return {
    states: xfrm
      .replaceAll(/0x[0-9a-f]{40,}/g, 'KEY')
      .split(/^(?=src)/m)
      .sort(),
    policies: (await okIn(netns, ['ip', 'xfrm', 'policy'])).split(/^(?=src)/m).sort(),
    links: links.split('\n').map((line) => line.split(':')[1]),
    routes: `${await okIn(netns, ['ip', 'route'])}${await okIn(netns, ['ip', '-6', 'route'])}`.split('\n').sort(),
  };
}

/** True when each workload reaches the other, in both families. */
export async function bothReach({ hosts: [a, b] }: CryptBed): Promise<boolean> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const address of to.addresses) {
      await okIn(from.workload, ['ping', '-n', '-c', '1', '-W', '5', address]);
    }
  }
  return true;
}

/** Pings both ways, by either family. */
export function startTraffic({ hosts: [a, b] }: CryptBed): Pinging {
  const ways = [
    { from: a.workload, to: b.addresses[0] ?? '' },
    { from: b.workload, to: a.addresses[1] ?? '' },
  ];
  return new Pinging(ways, 0.1);
}

/** Listens on the underlay. @returns lines as tcpdump(8) prints them, once it has heard `enough` */
export async function listen(host: CryptHost): Promise<{ lines: (enough: RegExp) => Promise<string[]> }> {
  const tcpdump = startIn(host.netns, ['tcpdump', '-n', '-l', '-i', 'eth0', 'ip or ip6']);
  await until('tcpdump listens', () => tcpdump.output().includes('listening on'), { timeout: 10_000 });
  return {
    async lines(enough) {
      await until(`tcpdump hears ${enough}`, () => enough.test(tcpdump.output()), { timeout: 10_000 });
      const lines = tcpdump
        .output()
        .split('\n')
        .filter((line) => / IP6? /.test(line));
      await tcpdump[Symbol.asyncDispose]();
      return lines;
    },
  };
}

function peerOf(backend: BackendName, family: 4 | 6, i: number, words: Partial<Words>): Peer {
  const n = i + 1;
  return {
    node: `node${n}`,
    addresses: [UNDERLAY[family][i] ?? ''],
    prefixes: [`10.244.${n}.0/24`, `fd00:244:${n}::/64`],
    backend,
    mac: '',
    direct: true,
    ...words,
  };
}

function overlayOf(backend: BackendName, self: Peer, { keyFile }: Words): Overlay {
  return {
    plan: 'node',
    backend,
    ranges: ['10.244.0.0/16', 'fd00:244::/32'],
    vni: 7,
    port: 0,
    directRouting: false,
    self: { ...self, keyFile, dev: 'eth0', mtu: 1500 },
  };
}

function networkOf(): Network {
  return {
    id: ID,
    name: 'shared',
    driver: 'overlay',
    created: '',
    internal: false,
    subnets: [],
    options: { driver: 'bridge', bridge: 'br0', mtu: 0, icc: true, masquerade: false, hairpin: false, hostBinding: '' },
    labels: {},
    phase: 'ready',
    owner: '',
  };
}
