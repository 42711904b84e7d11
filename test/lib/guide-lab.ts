import { type LabHost, makeLab, type TestLab } from './lab.ts';
import { until } from './wait.ts';

/** Where the pages' commands are typed; every host has its own. */
export const GUIDE = '/run/guide';
const IDEAL = { mtu: 1500, rate: 0, delay: 0, loss: 0 };

/** Machines of the pages: a is 192.0.2.10, b 192.0.2.11; without any cluster. */
export async function twoHosts(stack: AsyncDisposableStack): Promise<TestLab> {
  return stack.use(
    await makeLab({
      join: false,
      spec: (plain) => ({
        ...plain,
        segments: [{ name: 'lan', prefixes: ['192.0.2.0/24', '2001:db8::/64'], mtu: 1500 }],
        hosts: ['a', 'b'].map((name, i) => ({
          name,
          links: [{ ...IDEAL, segment: 'lan', addresses: [`192.0.2.${10 + i}`] }],
          daemon: [],
        })),
      }),
    }),
  );
}

/** `systemctl restart etcd`: Debian's unit starts it with the words of /etc/default/etcd. */
export function etcdService(stack: AsyncDisposableStack): (host: LabHost) => Promise<void> {
  let running = '';
  const end = async (host: LabHost): Promise<void> => {
    if (running !== '')
      await host.ok(['sh', '-c', `kill ${running}; while kill -0 ${running} 2>/dev/null; do sleep 0.05; done`]);
    running = '';
  };
  return async (host) => {
    await end(host);
    const words = `set -a; . /etc/default/etcd; set +a; setsid etcd --data-dir=/run/etcd --unsafe-no-fsync --log-level=warn >/run/etcd.log 2>&1 </dev/null & echo $!`;
    running = (await host.ok(['sh', '-c', words])).trim();
    stack.defer(() => end(host));
    await until('etcd listens', async () => (await host.ok(['ss', '-Hltn', 'sport = :2379'])) !== '', {
      timeout: 15_000,
    });
  };
}

/** A container's name for itself, as the web server of the pages has it. */
export const HOSTNAME: RegExp = /^[0-9a-f]{12}\n$/;

/** What a web server of a network says to somebody on it, by its name. */
export function fetched(host: LabHost, network: string, name: string): Promise<string> {
  return host.ok([
    'netloom',
    'run',
    '--rm',
    '--network',
    network,
    'busybox',
    'wget',
    '-q',
    '-O',
    '-',
    `http://${name}/hostname`,
  ]);
}
