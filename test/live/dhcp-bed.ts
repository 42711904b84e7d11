import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Netns } from '../../src/kernel/index.ts';
import { type Background, ipBatch, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

/** A LAN with room for a DHCP server, a host on it, and a container of that host with a macvlan of the host's uplink. */
export interface Lan extends AsyncDisposable {
  /** `eth0` with 192.168.77.1/24: where the server runs. */
  readonly router: Netns;
  /** `eth0` without an address. */
  readonly host: Netns;
  /** `eth0`, a macvlan, up and without an address. */
  readonly container: Netns;
  readonly mac: string;
  /** Starts dnsmasq; `options` besides those that keep it in its place. */
  dnsmasq(...options: string[]): Promise<Dnsmasq>;
  readonly dir: string;
}
export interface Dnsmasq extends AsyncDisposable {
  readonly log: () => string;
  /** Lines of its lease file. */
  leases(): readonly string[];
}

export const LAN_MAC = '02:00:00:00:77:07';

export async function makeLan(): Promise<Lan> {
  await using undo = new AsyncDisposableStack();
  const [router, host, container] = [Netns.create(), Netns.create(), Netns.create()];
  for (const netns of [router, host, container]) undo.use(netns);
  const dir = mkdtempSync(join(tmpdir(), 'nl-dhcp-'));
  undo.defer(() => rmSync(dir, { recursive: true, force: true }));
  await ipBatch(router, [
    `link add eth0 type veth peer name eth0 netns /proc/${process.pid}/fd/${host.fd}`,
    'addr add 192.168.77.1/24 dev eth0',
    'link set eth0 up',
    'link set lo up',
  ]);
  await ipBatch(host, [
    'link set eth0 up',
    `link add mv0 link eth0 address ${LAN_MAC} type macvlan mode bridge`,
    `link set mv0 netns /proc/${process.pid}/fd/${container.fd} name eth0`,
  ]);
  await ipBatch(container, ['link set lo up', 'link set eth0 up']);
  let started = 0;
  const kept = undo.move();
  return {
    router,
    host,
    container,
    mac: LAN_MAC,
    dir,
    async dnsmasq(...options) {
      const leaseFile = join(dir, 'leases');
      const server: Background = startIn(router, [
        ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--group='],
        ...['--interface=eth0', '--bind-interfaces', '--except-interface=lo', '--no-ping', '--log-facility=-'],
        ...[`--pid-file=${join(dir, `pid${++started}`)}`, `--dhcp-leasefile=${leaseFile}`],
        ...options,
      ]);
      await until('dnsmasq serves DHCP', () => {
        if (server.child.exitCode !== null) throw new Error(server.output());
        return /started/.test(server.output()) && /DHCP, (sockets|IP range)/.test(server.output());
      });
      return {
        log: server.output,
        leases: () =>
          readFileSync(leaseFile, 'utf8')
            .split('\n')
            .filter((line) => line !== ''),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Sets what a lease says, as the engine would. */
export async function useAddress(netns: Netns, address: string, ifname = 'eth0'): Promise<void> {
  await okIn(netns, ['ip', 'addr', 'replace', address, 'dev', ifname]);
}
