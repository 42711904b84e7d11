/**
 * Captures what `wg set` sends, for wireguard.test.ts. Run by hand where wireguard-tools and strace are installed, and the
 * kernel has WireGuard; the guest of tools/vm has:
 *
 *     sh tools/vm/run.sh -- node test/golden/wireguard/capture.ts > test/golden/wireguard/captures.json
 *
 * Each command runs in a fresh network namespace with an interface wg0, under strace.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';

const dir = mkdtempSync(join(tmpdir(), 'capture-'));
const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
for (const byte of [1, 2]) writeFileSync(join(dir, `key${byte}`), key(byte) + '\n');

const COMMANDS: readonly string[] = [
  'wg set wg0 private-key KEY1 listen-port 51820 fwmark 0x6e6c',
  `wg set wg0 peer ${key(3)} endpoint 192.0.2.2:51820 persistent-keepalive 25 allowed-ips 10.244.2.0/24,fd00:2::/64`,
  `wg set wg0 peer ${key(3)} endpoint [2001:db8::2]:51821 preshared-key KEY2`,
  `wg set wg0 peer ${key(3)} remove peer ${key(4)} allowed-ips 10.244.3.0/24`,
  'wg set wg0 private-key /dev/null listen-port 0',
];

const captures = COMMANDS.map((command) => ({ command, hex: capture(command) }));
rmSync(dir, { recursive: true });
const version = execFileSync('wg', ['--version'], { encoding: 'utf8' }).trim();
const lines = captures.map((c) => `  ${JSON.stringify(c)}`).join(',\n');
process.stdout.write(
  `{\n "tool": ${JSON.stringify(version)},\n "kernel": ${JSON.stringify(release())},\n "captures": [\n${lines}\n]}\n`,
);

/** The last request that the command sends, without message type, sequence number and port id: others it only asks by. */
function capture(command: string): string {
  const trace = join(dir, 'trace');
  const own = command.replaceAll('KEY', join(dir, 'key'));
  const script = `ip link add wg0 type wireguard && exec strace -o ${trace} -e trace=sendmsg,sendto -e write=all ${own}`;
  const run = spawnSync('unshare', ['-n', 'sh', '-c', script], { encoding: 'utf8' });
  const message = run.status === 0 ? blocks(readFileSync(trace, 'utf8')).at(-1) : undefined;
  if (!message) throw new Error(`${command}: no request\n${run.stdout}${run.stderr}`);
  message.fill(0, 4, 6);
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
