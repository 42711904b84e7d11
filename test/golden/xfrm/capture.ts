/**
 * Captures what `ip xfrm` sends, for xfrm.test.ts. Run by hand where iproute2 and strace are installed:
 *
 *     node test/golden/xfrm/capture.ts > test/golden/xfrm/captures.json
 *
 * Each command runs in a fresh user and network namespace, under strace. It may be refused: what it sent counts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';

const KEY = '0x' + Buffer.from(Array.from({ length: 36 }, (_, i) => i + 1)).toString('hex');
const STATE = 'proto esp spi 0x12345678';
const ESP = `reqid 28268 mode tunnel replay-window 128 flag esn af-unspec aead rfc4106(gcm(aes)) ${KEY} 128`;
const V4 = 'src 192.0.2.1 dst 192.0.2.2';
const V6 = 'src 2001:db8::1 dst 2001:db8::2';
const TMPL = 'proto esp reqid 28268 mode tunnel';

const COMMANDS: readonly (readonly [type: number, command: string])[] = [
  [0x10, `ip xfrm state add ${V4} ${STATE} ${ESP} if_id 0x6e000001`],
  [0x10, `ip xfrm state add ${V6} ${STATE} ${ESP}`],
  [0x10, `ip xfrm state add ${V4} ${STATE} ${ESP} limit packet-soft 5 limit packet-hard 7 limit time-hard 60`],
  [0x11, `ip xfrm state delete ${V4} ${STATE}`],
  [0x12, `ip xfrm state get ${V6} ${STATE}`],
  [0x12, 'ip xfrm state show'],
  [0x13, `ip xfrm policy add src 0.0.0.0/0 dst 10.244.2.0/24 dir out priority 7 tmpl ${V4} ${TMPL} if_id 0x6e000001`],
  [0x13, `ip xfrm policy add src fd00:2::/64 dst ::/0 dir fwd priority 7 tmpl ${V6} ${TMPL}`],
  [0x19, `ip xfrm policy update src 10.244.2.0/24 dst 0.0.0.0/0 dir in priority 8 tmpl ${V6} ${TMPL} if_id 0x6e000001`],
  [0x14, 'ip xfrm policy delete src 10.244.2.0/24 dst 0.0.0.0/0 dir in if_id 0x6e000001'],
  [0x15, 'ip xfrm policy show'],
];

const dir = mkdtempSync(join(tmpdir(), 'capture-'));
const captures = COMMANDS.map(([type, command]) => ({ command, hex: capture(command, type) }));
rmSync(dir, { recursive: true });
const version = execFileSync('ip', ['-V'], { encoding: 'utf8' }).trim();
const lines = captures.map((c) => `  ${JSON.stringify(c)}`).join(',\n');
process.stdout.write(
  `{\n "tool": ${JSON.stringify(version)},\n "kernel": ${JSON.stringify(release())},\n "captures": [\n${lines}\n]}\n`,
);

/** The netlink request of that type that the command sends, without its sequence number and port id. */
function capture(command: string, type: number): string {
  const trace = join(dir, 'trace');
  const words = command.split(' ');
  const run = spawnSync(
    'unshare',
    ['-Urn', 'strace', '-o', trace, '-e', 'trace=sendmsg,sendto', '-e', 'write=all', ...words],
    {
      encoding: 'utf8',
    },
  );
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
