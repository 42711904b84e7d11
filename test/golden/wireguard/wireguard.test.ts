import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { messagesOf, type NlMessage, NLM_F, NlWriter, type Request } from '../../../src/netlink/index.ts';
import { parseWgDevice, type WgDeviceSpec, wgSet } from '../../../src/wireguard/index.ts';

/** What capture.ts has written: see there. */
interface Captures {
  readonly tool: string;
  readonly captures: readonly { readonly command: string; readonly hex: string }[];
}
const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const FAMILY = 0x20;

/** In the order of the captures. */
const SPECS: readonly WgDeviceSpec[] = [
  { name: 'wg0', privateKey: key(1), port: 51820, fwmark: 0x6e6c },
  {
    name: 'wg0',
    peers: [
      {
        publicKey: key(3),
        endpoint: { address: '192.0.2.2', port: 51820 },
        keepalive: 25,
        allowedIps: ['10.244.2.0/24', 'fd00:2::/64'],
        replaceAllowedIps: true,
      },
    ],
  },
  {
    name: 'wg0',
    peers: [{ publicKey: key(3), endpoint: { address: '2001:db8::2', port: 51821 }, presharedKey: key(2) }],
  },
  {
    name: 'wg0',
    peers: [
      { publicKey: key(3), remove: true },
      { publicKey: key(4), allowedIps: ['10.244.3.0/24'], replaceAllowedIps: true },
    ],
  },
  { name: 'wg0', privateKey: '', port: 0 },
];

test('every command has a request', () => assert.equal(golden.captures.length, SPECS.length));

for (const [i, { command, hex }] of golden.captures.entries()) {
  test(command, () => {
    const [request, ...more] = wgSet(FAMILY, SPECS[i]!);
    assert.ok(request);
    assert.equal(more.length, 0);
    const theirs = parse(Buffer.from(hex, 'hex'));
    const ours = encode(request);
    const meta = NLM_F.ACK | NLM_F.REQUEST;
    assert.equal(ours.flags & ~meta, theirs.flags & ~meta, 'message flags');
    assert.equal(dump(ours), dump(theirs), `${golden.tool} sends other bytes`);
  });
}

test('many peers and many allowed addresses go in several messages, and come back whole', () => {
  const peers = Array.from({ length: 700 }, (_, i) => ({
    publicKey: Buffer.alloc(32, `peer ${i}`).toString('base64'),
    endpoint: { address: '2001:db8::2', port: 51820 },
    keepalive: 25,
    allowedIps: Array.from({ length: i === 350 ? 3000 : 2 }, (__, j) => `10.${i % 250}.${j >> 8}.${j & 255}/32`),
    replaceAllowedIps: true,
  }));
  const requests = wgSet(FAMILY, { name: 'wg0', privateKey: key(1), port: 5, replacePeers: true, peers });
  assert.ok(requests.length > 5, `${requests.length} messages`);
  const messages = requests.map(encode);
  for (const message of messages) assert.ok(message.payload.length < 33_000, `${message.payload.length} bytes`);
  // what replaces, and a private key, is said once: again, it would take away what went before
  const device = parseWgDevice(messages);
  assert.equal(device.privateKey, key(1));
  assert.equal(messages.filter((m) => Buffer.from(m.payload).includes(Buffer.alloc(32, 1))).length, 1);
  assert.deepEqual(
    device.peers.map(({ publicKey, endpoint, keepalive, allowedIps }) => ({
      publicKey,
      endpoint,
      keepalive,
      allowedIps,
      replaceAllowedIps: true,
    })),
    peers,
  );
});

test('what is no key, address or prefix is refused before anything is sent, and a key is never told', () => {
  const secret = 'secretsecretsecret';
  assert.throws(
    () => wgSet(FAMILY, { name: 'wg0', privateKey: secret }),
    (error: Error & { code?: string }) => error.code === 'EBADKEY' && !error.message.includes(secret),
  );
  const peer = { publicKey: key(3) };
  assert.throws(() => wgSet(FAMILY, { name: 'wg0', peers: [{ publicKey: 'x' }] }), { code: 'EBADKEY' });
  assert.throws(() => wgSet(FAMILY, { name: 'wg0', peers: [{ ...peer, allowedIps: ['10.0.0.1/8'] }] }), {
    code: 'EBADPREFIX',
  });
  assert.throws(() => wgSet(FAMILY, { name: 'wg0', peers: [{ ...peer, endpoint: { address: 'x', port: 1 } }] }), {
    code: 'EBADADDRESS',
  });
  for (const request of wgSet(FAMILY, { name: 'wg0', privateKey: key(1) })) assert.ok(!request.label.includes(key(1)));
});

test('nothing that is cut short or mutated is read beyond its end', () => {
  const [whole] = wgSet(FAMILY, SPECS[1]!).map(encode);
  assert.ok(whole);
  const tryIt = (payload: Uint8Array): void => {
    try {
      parseWgDevice([{ ...whole, payload }]);
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'EBADMSG', String(error));
    }
  };
  for (let length = 0; length < whole.payload.length; length++) tryIt(whole.payload.slice(0, length));
  for (let at = 0; at < whole.payload.length; at++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const payload = whole.payload.slice();
      payload[at] = value;
      tryIt(payload);
    }
  }
});

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
