import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type NlMessage, NlWriter, messagesOf, NLM_F, type Request } from '../../../src/netlink/index.ts';
import { REQUESTS } from './requests.ts';

/** What capture.ts has written: see there. */
interface Captures {
  readonly tool: string;
  readonly kernel: string;
  readonly setup: readonly string[];
  readonly captures: readonly { readonly command: string; readonly type: string; readonly hex: string }[];
}
const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;

/** Where we send something else on purpose: which lines of `flatten` are ours alone, and which are iproute2's. */
const DIFFERENCES: Readonly<Record<string, { why: string; ours: readonly string[]; theirs: readonly string[] }>> = {
  'ip link show dev eth0': {
    why: 'ip also asks for SR-IOV functions',
    ours: ['29=08000000'],
    theirs: ['29=09000000'],
  },
  'ip link show type veth': {
    why: 'ip asks as AF_PACKET, for SR-IOV functions and every counter',
    ours: ['header=00000000000000000000000000000000', '29=08000000'],
    theirs: ['header=11000000000000000000000000000000', '29=01000000'],
  },
  'ip link show master br0': {
    why: 'as above',
    ours: ['header=00000000000000000000000000000000', '29=08000000'],
    theirs: ['header=11000000000000000000000000000000', '29=01000000'],
  },
  'ip -6 route add default via fd00::254 dev eth0': {
    why: 'ip spells out the destination of no bits',
    ours: [],
    theirs: ['1=00000000000000000000000000000000'],
  },
  'ip link add t0 type ip6gre remote fd00::2 local fd00::1 ttl 64': {
    why: 'ip gives an ERSPAN version to what is no ERSPAN',
    ours: [],
    theirs: ['18/2/22=01'],
  },
  'ip link add t0 type ip6gretap remote fd00::2 local fd00::1 key 7': {
    why: 'as above',
    ours: [],
    theirs: ['18/2/22=01'],
  },
  'ip route add 10.2.0.0/16 nexthop via 10.0.0.2 dev eth0 nexthop via inet6 fe80::2 dev eth0 weight 2': {
    why: 'ip leaves a byte of its memory in the padding',
    ours: [],
    theirs: [],
  },
};

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
    assert.equal(ours.flags & ~meta, theirs.flags & ~meta, 'message flags');
    const different = DIFFERENCES[command];
    if (!different) {
      assert.equal(dump(ours), dump(theirs), `${golden.tool} sends other bytes`);
      return;
    }
    const [a, b] = [flatten(ours), flatten(theirs)];
    assert.notEqual(dump(ours), dump(theirs), `no longer different: ${different.why}`);
    assert.deepEqual(
      a.filter((line) => !b.includes(line)),
      different.ours,
      different.why,
    );
    assert.deepEqual(
      b.filter((line) => !a.includes(line)),
      different.theirs,
      different.why,
    );
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

/** Sizes of the fixed headers by message type, four types a family. linux/rtnetlink.h */
const HEADERS = new Map([[16, 16], [20, 8], [24, 12], [28, 12], [32, 12], [88, 4]]); // prettier-ignore

/** The header and every attribute on a line of its own: `18/2/15=12b5`. */
function flatten(message: NlMessage): string[] {
  const bytes = Buffer.from(message.payload);
  const family = message.type & ~3;
  const size = HEADERS.get(family);
  assert.ok(size);
  const lines = [`header=${bytes.subarray(0, size).toString('hex')}`];
  walk(bytes.subarray(size), '');
  return lines;

  function walk(rest: Buffer, path: string): void {
    for (let at = 0; at + 4 <= rest.length;) {
      const length = rest.readUInt16LE(at);
      assert.ok(length >= 4 && at + length <= rest.length, `attribute of ${length} bytes in ${path}`);
      const here = `${path}${rest.readUInt16LE(at + 2) & 0x3fff}`;
      const value = rest.subarray(at + 4, at + length);
      if (family === 16 && (here === '18' || here === '18/2')) walk(value, `${here}/`);
      else if (family === 24 && here === '9') hops(value);
      else lines.push(`${here}=${value.toString('hex')}`);
      at += (length + 3) & ~3;
    }
  }
  function hops(rest: Buffer): void {
    for (let at = 0, n = 0; at < rest.length; at += rest.readUInt16LE(at), n++) {
      lines.push(`9/${n}=${rest.subarray(at + 2, at + 8).toString('hex')}`);
      walk(rest.subarray(at + 8, at + rest.readUInt16LE(at)), `9/${n}/`);
    }
  }
}
