/**
 * Captures what tc sends, for tc.test.ts. Run by hand where iproute2 and strace are installed:
 *
 *     node test/golden/tc/capture.ts > test/golden/tc/captures.json
 *
 * Each command runs in a fresh user and network namespace after SETUP and those before it, under strace.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';

/** What every command finds: links with fixed indices. */
const SETUP = [
  'ip link add eth0 index 10 type veth peer name eth1 index 11',
  'ip link add ifb0 index 40 type ifb',
  'tc qdisc add dev eth1 clsact',
  'tc qdisc add dev eth1 root handle 6e6c: tbf rate 8mbit burst 5000 limit 70000',
];

const COMMANDS: readonly (readonly [type: number, command: string])[] = [
  [36, 'tc qdisc add dev eth0 root handle 6e6c: tbf rate 10285328bit burst 12857 limit 143929'],
  [36, 'tc qdisc change dev eth1 root handle 6e6c: tbf rate 40gbit burst 50000000 limit 300000000'],
  [37, 'tc qdisc delete dev eth1 root'],
  [36, 'tc qdisc add dev eth0 clsact'],
  [37, 'tc qdisc delete dev eth1 clsact'],
  [38, 'tc qdisc show'],
  [
    44,
    'tc filter add dev eth1 ingress pref 28268 protocol all handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ifb0',
  ],
  [45, 'tc filter delete dev eth1 ingress pref 28268'],
  [46, 'tc filter show dev eth1 ingress'],
];

const dir = mkdtempSync(join(tmpdir(), 'capture-'));
const captures = COMMANDS.map(([type, command]) => ({ command, hex: capture(command, type) }));
rmSync(dir, { recursive: true });
const version = execFileSync('tc', ['-V'], { encoding: 'utf8' }).trim();
const lines = captures.map((c) => `  ${JSON.stringify(c)}`).join(',\n');
process.stdout.write(
  `{\n "tool": ${JSON.stringify(version)},\n "kernel": ${JSON.stringify(release())},\n` +
    ` "setup": ${JSON.stringify(SETUP)},\n "captures": [\n${lines}\n]}\n`,
);

/** The netlink request of that type that the command sends, without its sequence number and port id. */
function capture(command: string, type: number): string {
  const trace = join(dir, 'trace');
  const script = `${SETUP.join(' && ')} && exec strace -o ${trace} -e trace=sendmsg,sendto -e write=all ${command}`;
  const run = spawnSync('unshare', ['-Urn', 'sh', '-c', script], { encoding: 'utf8' });
  const message = blocks(readFileSync(trace, 'utf8')).find((b) => b.length >= 16 && b.readUInt16LE(4) === type);
  if (!message) throw new Error(`${command}: no request of type ${type}\n${run.stdout}${run.stderr}`);
  message.fill(0, 8, 16);
  return message.subarray(0, message.readUInt32LE(0)).toString('hex');
}

/** The hex dumps that strace writes under each call: ` | 00010  02 00 …  ASCII |`. */
function blocks(text: string): Buffer[] {
  const found: Buffer[] = [];
  for (const line of text.split('\n')) {
    const dump = /^ \| ([0-9a-f]{5})  (.{49})/.exec(line);
    if (!dump) continue;
    const bytes = Buffer.from(dump[2]!.replaceAll(' ', ''), 'hex');
    if (dump[1] === '00000') found.push(bytes);
    else found.push(Buffer.concat([found.pop() ?? Buffer.alloc(0), bytes]));
  }
  return found;
}
