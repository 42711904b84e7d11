import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { messagesOf, type NlMessage, NLM_F, NlWriter, type Request } from '../../../src/netlink/index.ts';
import * as rtnl from '../../../src/rtnetlink/index.ts';

/** What capture.ts has written: see there. */
interface Captures {
  readonly tool: string;
  readonly captures: readonly { readonly command: string; readonly hex: string }[];
}
const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;

const ETH0 = 10;
const ETH1 = 11;
const IFB0 = 40;
const HANDLE = 0x6e6c;

const REQUESTS: Readonly<Record<string, Request>> = {
  'tc qdisc add dev eth0 root handle 6e6c: tbf rate 10285328bit burst 12857 limit 143929': rtnl.tbfAdd(ETH0, HANDLE, {
    rate: 10_285_328,
    burst: 12_857,
    limit: 143_929,
  }),
  'tc qdisc change dev eth1 root handle 6e6c: tbf rate 40gbit burst 50000000 limit 300000000': rtnl.tbfChange(
    ETH1,
    HANDLE,
    { rate: 40e9, burst: 50_000_000, limit: 300_000_000 },
  ),
  'tc qdisc delete dev eth1 root': rtnl.rootDelete(ETH1),
  'tc qdisc add dev eth0 clsact': rtnl.clsactEnsure(ETH0),
  'tc qdisc delete dev eth1 clsact': rtnl.clsactDelete(ETH1),
  'tc qdisc show': rtnl.qdiscDump(),
  'tc filter add dev eth1 ingress pref 28268 protocol all handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ifb0':
    rtnl.redirectAdd({ index: ETH1, pref: HANDLE, to: IFB0 }),
  'tc filter delete dev eth1 ingress pref 28268': rtnl.filterDelete({ index: ETH1, pref: HANDLE }),
  'tc filter show dev eth1 ingress': rtnl.filterDump(ETH1),
};

/** linux/rtnetlink.h struct tcmsg */
const TCMSG = 20;
const RTAB = '2/2';
const PARMS = '2/1';

test('every command has a request, and every request a command', () => {
  assert.deepEqual(Object.keys(REQUESTS).sort(), golden.captures.map((c) => c.command).sort());
});

for (const { command, hex } of golden.captures) {
  test(command, () => {
    const request = REQUESTS[command];
    assert.ok(request);
    const theirs = parse(Buffer.from(hex, 'hex'));
    const ours = encode(request);
    assert.equal(ours.type, theirs.type, 'message type');
    const meta = NLM_F.ACK | NLM_F.REQUEST;
    // clsact that is there already is what we want: tc refuses it
    const flags = command.endsWith('eth0 clsact') ? theirs.flags & ~NLM_F.EXCL : theirs.flags;
    assert.equal(ours.flags & ~meta, flags & ~meta, 'message flags');
    if (!command.includes('tbf')) {
      assert.equal(dump(ours), dump(theirs), `${golden.tool} sends other bytes`);
      return;
    }
    // tc adds the table of costs that kernels before 3.8 looked into, how it was made, and the burst in ticks as well
    const [a, b] = [flatten(ours), flatten(theirs)];
    assert.deepEqual([...a.keys()].sort(), [...b.keys()].filter((key) => key !== RTAB).sort());
    assert.equal(b.get(RTAB)?.length, 1024);
    for (const [key, value] of a)
      if (key !== PARMS) assert.equal(value.toString('hex'), b.get(key)?.toString('hex'), key);
    const [mine, his] = [a.get(PARMS)!, b.get(PARMS)!];
    assert.equal(mine.length, his.length);
    // struct tc_tbf_qopt: link layer, rate, limit
    for (const [at, size] of [
      [1, 1],
      [8, 4],
      [24, 4],
    ] as const)
      // prettier-ignore
      assert.equal(mine.subarray(at, at + size).toString('hex'), his.subarray(at, at + size).toString('hex'), `at ${at}`);
  });
}

function encode(request: Request): NlMessage {
  const writer = new NlWriter();
  writer.message(request.type, request.flags | NLM_F.REQUEST, 0);
  request.body(writer);
  return parse(writer.finish());
}
function parse(bytes: Uint8Array): NlMessage {
  const [message, ...more] = messagesOf(bytes);
  assert.ok(message);
  assert.equal(more.length, 0);
  return message;
}

/** Four bytes a line, so that a difference shows where it is. */
function dump(message: NlMessage): string {
  return Buffer.from(message.payload).toString('hex').replace(/.{8}/g, '$&\n');
}

/** The header and every attribute, by its path: `2/1`. */
function flatten(message: NlMessage): Map<string, Buffer> {
  const bytes = Buffer.from(message.payload);
  const found = new Map<string, Buffer>([['header', bytes.subarray(0, TCMSG)]]);
  const walk = (rest: Buffer, path: string): void => {
    for (let at = 0; at + 4 <= rest.length;) {
      const length = rest.readUInt16LE(at);
      assert.ok(length >= 4 && at + length <= rest.length, `attribute of ${length} bytes in ${path}`);
      const here = `${path}${rest.readUInt16LE(at + 2) & 0x3fff}`;
      const value = rest.subarray(at + 4, at + length);
      if (here === '2') walk(value, '2/');
      else found.set(here, value);
      at += (length + 3) & ~3;
    }
  };
  walk(bytes.subarray(TCMSG), '');
  return found;
}
