import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import type { Netns } from '../../src/kernel/index.ts';
import { archive, type ArchiveFile } from '../../tools/vm/cpio.ts';
import { cachedKernel, moduleFiles } from '../../tools/vm/kernel.ts';
import { find } from '../../tools/vm/packages.ts';
import { enter } from './run.ts';

export interface GuestOptions {
  readonly netns: Netns;
  /** Name of a tap in `netns`; it may be there already, up and in a bridge. The guest's end is its `eth0`. */
  readonly tap: string;
  /** Of the guest's `eth0`. */
  readonly mac: string;
  /** For the guest's `sh`, with busybox' applets. `lo` and `eth0` are up; `udhcpc` sets address, routes, resolv.conf. */
  readonly script: string;
  /** MiB; default 192. */
  readonly memory?: number;
  /** Ends the guest. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the guest is ended; default 50000. It boots for four to twenty seconds. */
  readonly timeout?: number;
}
export interface GuestResult {
  /** What the script wrote, standard output and error together. */
  readonly output: string;
  readonly exitCode: number;
}

const FIRST_PROCESS = `#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox --install -s /bin
PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod /modules/$module; done </modules/order
ip link set lo up
ip link set eth0 up
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1 </dev/null
sh /script
echo "$(cat /mark) $?"
sleep 60 # the test ends the machine
`;

/** What busybox' DHCP client runs when something has happened: udhcpc passes the lease in the environment. */
const ON_LEASE = `#!/bin/sh
case $1 in bound | renew) ;; *) exit 0 ;; esac
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
for via in $router; do ip route add default via $via dev $interface; done
{ [ -z "$domain" ] || echo "search $domain"; for server in $dns; do echo "nameserver $server"; done; } >/etc/resolv.conf
`;

/**
 * Boots a small virtual machine whose network card is a tap of a namespace, runs a script in it, and ends it: a stranger
 * on the network, with a kernel and a DHCP client of its own. Its files are busybox alone, in memory. It needs no root.
 *
 * @throws Error with what the guest's console showed, when it ends before the script, or the deadline passes.
 * @throws the signal's reason.
 */
export async function bootGuest(options: GuestOptions): Promise<GuestResult> {
  const { netns, tap, mac, memory = 192, signal, timeout = 50_000 } = options;
  signal?.throwIfAborted();
  const kernel = cachedKernel();
  if (!kernel) throw new Error('there is no kernel for guests; run: sh tools/vm/run.sh --prepare');
  const mark = `guest ${randomBytes(8).toString('hex')} ended with`;
  const dir = mkdtempSync(join(tmpdir(), 'nl-guest-'));
  try {
    const initrd = join(dir, 'initrd');
    writeFileSync(initrd, initialFiles(options.script, mark));
    const qemu = [
      ...['-machine', 'q35,usb=off,sata=off,smbus=off,vmport=off,smm=off,graphics=off'],
      ...['-accel', 'tcg', '-cpu', 'max', '-m', `${memory}M`, '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-kernel', kernel.image, '-initrd', initrd],
      ...['-append', 'console=ttyS0 quiet panic=-1 nokaslr mitigations=off audit=0 cryptomgr.notests tsc=reliable'],
      ...['-netdev', `tap,id=lan,ifname=${tap},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=lan,mac=${mac},romfile=`],
      ...['-chardev', 'socket,id=console,fd=3', '-serial', 'chardev:console'],
      ...['-chardev', 'socket,id=output,fd=4', '-serial', 'chardev:output'],
    ];
    const [file, ...args] = [...enter(netns), 'setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64', ...qemu];
    const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
    const closed = once(child, 'close');
    const end = (): void => void child.kill('SIGKILL');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end();
    }, timeout);
    signal?.addEventListener('abort', end);
    try {
      let console = '';
      for (const stream of child.stdio.slice(1, 4) as Socket[]) {
        stream.on('error', () => undefined); // reset by QEMU's end
        stream.on('data', (chunk: Buffer) => (console += chunk.toString()));
      }
      const result = await readUntil(mark, child.stdio[4] as Socket);
      signal?.throwIfAborted();
      if (result.exitCode !== undefined) return { output: result.output, exitCode: result.exitCode };
      const why = late ? `was not done after ${timeout} ms` : 'went away before its script ended';
      throw new Error(`the guest ${why}; output: ${result.output.trim()}; console: ${console.trim()}`);
    } finally {
      signal?.removeEventListener('abort', end);
      clearTimeout(timer);
      end();
      await closed;
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function readUntil(mark: string, socket: Socket): Promise<{ output: string; exitCode?: number }> {
  let output = '';
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      output += chunk.toString();
      const at = output.indexOf(mark);
      const status = /^ (\d+)\n/.exec(at < 0 ? '' : output.slice(at + mark.length));
      if (status) return { output: output.slice(0, at), exitCode: Number(status[1]) };
    }
  } catch {
    // reset by QEMU's end
  }
  return { output };
}

function initialFiles(script: string, mark: string): Buffer {
  const modules = moduleFiles(cachedKernel()!, ['virtio_pci', 'virtio_net', 'af_packet']);
  const program = (data: ArchiveFile['data']): ArchiveFile => ({ data, mode: 0o755 });
  const files: Record<string, ArchiveFile | undefined> = {
    init: program(FIRST_PROCESS),
    script: program(script),
    mark: { data: mark },
    'bin/busybox': program(readFileSync(find('busybox')!)),
    'etc/udhcpc/default.script': program(ON_LEASE),
    'etc/hosts': { data: '127.0.0.1 localhost\n' },
    'modules/order': { data: modules.map(({ name }) => `${name}\n`).join('') },
  };
  for (const { name, path } of modules) files[`modules/${name}`] = { data: readFileSync(path) };
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'run']) files[name] = undefined;
  return archive(files);
}
