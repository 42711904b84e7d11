import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Netns } from '../../src/kernel/index.ts';
import { Cri } from './cri.ts';
import { writeImage } from './image.ts';
import { enterDistribution, enterSuite, type Inside, type Machine } from './suite.ts';
import { until } from './wait.ts';

/** The image that every container here is made of. */
export const IMAGE = 'docker.io/library/box:1';

/** A machine with containerd on it, an image in it, and the places for CNI plugins. */
export interface Containerd extends AsyncDisposable {
  readonly machine: Machine;
  readonly daemon: Inside;
  /** Where the kubelet would speak to it. */
  readonly socket: string;
  /** Another one, after `daemon` has gone. Ends with the machine. */
  restart(): Promise<void>;
  /** `ctr` with these words; its output. @throws Error with what it said */
  ctr(...words: readonly string[]): Promise<string>;
}

export interface ContainerdOptions {
  readonly netns: Netns;
  /** The later suite's containerd, 2.1, or the distribution's, 1.6. */
  readonly suite: boolean;
  /** Of the network `pods`, which is then the one of /etc/cni/net.d; without it nothing of netloom's is there. */
  readonly subnet?: string;
  /** Default: `IMAGE`. */
  readonly image?: string;
}

export async function startContainerd({ netns, suite, subnet, image = IMAGE }: ContainerdOptions): Promise<Containerd> {
  await using undo = new AsyncDisposableStack();
  const machine = undo.use(await (suite ? enterSuite : enterDistribution)({ netns }));
  if (subnet !== undefined) {
    await machine.ok(['netloom', 'cni', 'install', '--network', 'pods', '--subnet', subnet]);
    // the kubelet's runtime wants lo to be brought up by a plugin
    copyFileSync(machine.path('/usr/lib/cni/loopback'), machine.path('/opt/cni/bin/loopback'));
  }
  mkdirSync(machine.path('/etc/containerd'), { recursive: true });
  writeFileSync(machine.path('/etc/containerd/config.toml'), CONFIG);
  const ctr = (...words: readonly string[]): Promise<string> => machine.ok(['ctr', ...words]);
  const socket = machine.path('/run/containerd/containerd.sock');
  // the service for the kubelet comes up later than the one that ctr asks
  const answers = async (): Promise<boolean> => {
    await ctr('version');
    using cri = new Cri(socket);
    return (await cri.version()) === 'containerd';
  };
  const start = async (stack: AsyncDisposableStack): Promise<Inside> => {
    const daemon = machine.start(['containerd']);
    stack.use(daemon);
    await until('containerd answers', () => answers(), { timeout: 15_000 }).catch((error: unknown) => {
      throw new Error(`containerd: ${daemon.output()}`, { cause: error });
    });
    return daemon;
  };
  const daemon = await start(undo);
  writeImage(machine.path('/tmp/box.tar'), image);
  await ctr('image', 'import', '/tmp/box.tar');
  await ctr('--namespace', 'k8s.io', 'image', 'import', '/tmp/box.tar');
  const kept = undo.move();
  return {
    machine,
    daemon,
    socket,
    restart: async () => void (await start(kept)),
    ctr,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The sandbox's image cannot be fetched here, and scores below a container's own need what tests do not have. */
const CONFIG = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
`;
