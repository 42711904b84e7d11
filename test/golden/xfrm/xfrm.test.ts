import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { messagesOf, type NlMessage, NLM_F, NlWriter, type Request } from '../../../src/netlink/index.ts';
import {
  parsePolicy,
  parseState,
  policyAdd,
  policyDelete,
  policyDump,
  policyUpdate,
  stateAdd,
  stateDelete,
  stateDump,
  stateGet,
} from '../../../src/xfrm/index.ts';

/** What capture.ts has written: see there. */
interface Captures {
  readonly tool: string;
  readonly captures: readonly { readonly command: string; readonly hex: string }[];
}
const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;

const V4 = { src: '192.0.2.1', dst: '192.0.2.2' };
const V6 = { src: '2001:db8::1', dst: '2001:db8::2' };
const spi = 0x12345678;
const key = Uint8Array.from({ length: 36 }, (_, i) => i + 1);
const ESP = { spi, reqid: 28268, replayWindow: 128, aead: { name: 'rfc4106(gcm(aes))', key, icvBits: 128 } };
const ifId = 0x6e000001;
const LIMITS = { softPackets: 5n, hardPackets: 7n, hardSeconds: 60n };
const OUT = { dir: 'out', src: '0.0.0.0/0', dst: '10.244.2.0/24', priority: 7 } as const;
const FWD = { dir: 'fwd', src: 'fd00:2::/64', dst: '::/0', priority: 7 } as const;
const IN = { dir: 'in', src: '10.244.2.0/24', dst: '0.0.0.0/0', priority: 8 } as const;

/** In the order of the captures. */
const REQUESTS: readonly Request[] = [
  stateAdd({ ...V4, ...ESP, ifId }),
  stateAdd({ ...V6, ...ESP }),
  stateAdd({ ...V4, ...ESP, limits: LIMITS }),
  stateDelete({ ...V4, spi }),
  stateGet({ ...V6, spi }),
  stateDump(),
  policyAdd({ ...OUT, ifId, tmpl: { ...V4, reqid: 28268 } }),
  policyAdd({ ...FWD, tmpl: { ...V6, reqid: 28268 } }),
  policyUpdate({ ...IN, ifId, tmpl: { ...V6, reqid: 28268 } }),
  policyDelete({ ...IN, ifId }),
  policyDump(),
];

test('every command has a request', () => assert.equal(golden.captures.length, REQUESTS.length));

for (const [i, { command, hex }] of golden.captures.entries()) {
  test(command, () => {
    const request = REQUESTS[i];
    assert.ok(request);
    const theirs = parse(Buffer.from(hex, 'hex'));
    const ours = encode(request);
    assert.equal(ours.type, theirs.type, 'message type');
    const meta = NLM_F.ACK | NLM_F.REQUEST;
    assert.equal(ours.flags & ~meta, theirs.flags & ~meta, 'message flags');
    const at = (theirs.flags & NLM_F.DUMP) === NLM_F.DUMP ? 0 : fixedSize(theirs.type);
    assert.equal(dump(ours.payload.subarray(0, at)), dump(theirs.payload.subarray(0, at)), 'the fixed part');
    // the order is free; the source says nothing about a state that has an SPI, nor a filter that lets all through
    const spoken = attributes(theirs.payload.subarray(at)).filter((line) => !/^13:|^26: 0+$/.test(line));
    assert.deepEqual(attributes(ours.payload.subarray(at)), spoken);
  });
}

test('what was written reads back', () => {
  const state = parseState(encode(stateAdd({ ...V6, ...ESP, ifId, limits: LIMITS })));
  assert.deepEqual(state, {
    ...V6,
    spi,
    reqid: 28268,
    replayWindow: 128,
    aead: { ...ESP.aead },
    limits: LIMITS,
    proto: 50,
    mode: 'tunnel',
    ifId,
    anyFamily: true,
    esn: true,
    sent: 0n,
    bytes: 0n,
    packets: 0n,
    added: 0n,
    replayed: 0,
    failed: 0,
  });
  assert.deepEqual(parsePolicy(encode(policyAdd({ ...OUT, ifId, tmpl: { ...V4, reqid: 9 } }))), {
    ...OUT,
    ifId,
    action: 'allow',
    tmpls: [{ ...V4, reqid: 9 }],
  });
});

test('no error names a key', () => {
  assert.equal(stateAdd({ ...V4, ...ESP }).label, 'XFRM_MSG_NEWSA src=192.0.2.1 dst=192.0.2.2 spi=0x12345678');
});

test('nothing that is cut short or mutated is read beyond its end', () => {
  for (const [request, parser] of [
    [stateAdd({ ...V6, ...ESP, ifId }), parseState],
    [policyAdd({ ...OUT, ifId, tmpl: { ...V4, reqid: 9 } }), parsePolicy],
  ] as const) {
    const whole = encode(request);
    for (let length = 0; length < whole.payload.length; length++) {
      try {
        parser({ ...whole, payload: whole.payload.slice(0, length) });
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'EBADMSG', `${length} bytes: ${String(error)}`);
      }
    }
    for (let at = 0; at < whole.payload.length; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const payload = whole.payload.slice();
        payload[at] = value;
        try {
          parser({ ...whole, payload });
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'EBADMSG', `byte ${at} = ${value}: ${String(error)}`);
        }
      }
    }
  }
});

/** Bytes before the attributes, by message type. */
function fixedSize(type: number): number {
  return { 0x10: 224, 0x11: 24, 0x12: 24, 0x13: 168, 0x19: 168, 0x14: 64 }[type] ?? 0;
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
function dump(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replace(/.{8}/g, '$&\n');
}
function attributes(bytes: Uint8Array): string[] {
  const rest = Buffer.from(bytes);
  const found: string[] = [];
  for (let at = 0; at + 4 <= rest.length;) {
    const length = rest.readUInt16LE(at);
    found.push(`${rest.readUInt16LE(at + 2)}: ${rest.subarray(at + 4, at + length).toString('hex')}`);
    at += (length + 3) & ~3;
  }
  return found.sort();
}
