import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  claimUse,
  drawEpoch,
  dropClaim,
  ensureKeyFile,
  ESP_KEY_LENGTH,
  type EspDirection,
  espKey,
  espKeyOf,
  espSpi,
  forgetKeys,
  generatePrivateKey,
  keepKey,
  nextKeyFile,
  publicKeyOf,
  readKeyFile,
  readKeyOf,
  sharedSecret,
  useOf,
} from './index.ts';

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

/** RFC 7748 section 6.1 */
const ALICE = base64('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
const ALICE_PUBLIC = base64('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
const BOB = base64('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
const BOB_PUBLIC = base64('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
const SHARED = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';

const EPOCHS = ['00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100'].map(base64);
const there: EspDirection = {
  network: 'f'.repeat(64),
  from: { publicKey: ALICE_PUBLIC, epoch: EPOCHS[0] ?? '' },
  to: { publicKey: BOB_PUBLIC, epoch: EPOCHS[1] ?? '' },
};

test('X25519 as RFC 7748 has it', () => {
  assert.equal(publicKeyOf(ALICE), ALICE_PUBLIC);
  assert.equal(publicKeyOf(BOB), BOB_PUBLIC);
  assert.equal(sharedSecret(ALICE, BOB_PUBLIC).toString('hex'), SHARED);
  assert.equal(sharedSecret(BOB, ALICE_PUBLIC).toString('hex'), SHARED);
  const own = generatePrivateKey();
  assert.notEqual(own, generatePrivateKey());
  assert.equal(sharedSecret(own, ALICE_PUBLIC).toString('hex'), sharedSecret(ALICE, publicKeyOf(own)).toString('hex'));
});

test('what is no key is refused, and never told', () => {
  for (const bad of ['', 'short', ALICE.slice(1), `${ALICE}\n`, ALICE.replace('=', '')]) {
    assert.throws(
      () => publicKeyOf(bad),
      (error: Error & { code?: string }) => error.code === 'EBADKEY' && (bad === '' || !error.message.includes(bad)),
    );
  }
  // a point of small order, with which everybody has the secret 0
  assert.throws(() => sharedSecret(ALICE, base64('00'.repeat(32))), { code: 'EBADKEY' });
});

test('a direction has one key at both ends, and no other direction has it', () => {
  const key = espKey(there, ALICE, BOB_PUBLIC);
  assert.equal(key.length, ESP_KEY_LENGTH);
  assert.deepEqual(espKey(there, BOB, ALICE_PUBLIC), key);
  const others: EspDirection[] = [
    { ...there, from: there.to, to: there.from },
    { ...there, network: 'e'.repeat(64) },
    { ...there, from: { ...there.from, epoch: drawEpoch() } },
    { ...there, to: { ...there.to, epoch: drawEpoch() } },
    { ...there, from: { ...there.from, epoch: there.to.epoch }, to: { ...there.to, epoch: there.from.epoch } },
  ];
  const keys = new Set([key, ...others.map((other) => espKey(other, ALICE, BOB_PUBLIC))].map((k) => k.toString('hex')));
  assert.equal(keys.size, others.length + 1);
  const spis = new Set([there, ...others].map(espSpi));
  assert.equal(spis.size, others.length + 1);
  for (const spi of spis) assert.ok(spi >= 256 && spi < 2 ** 32);
  assert.throws(() => espSpi({ ...there, to: { ...there.to, epoch: 'AAAA' } }), { code: 'EBADKEY' });
});

test('the derivation stays as it is: hosts of two releases must agree', () => {
  // openssl kdf -keylen 36 -kdfopt digest:SHA256 -kdfopt hexkey:SHARED -kdfopt hexsalt:… -kdfopt hexinfo:… HKDF
  assert.equal(espKey(there, ALICE, BOB_PUBLIC).toString('hex'), KNOWN.key);
  assert.equal(espSpi(there), KNOWN.spi);
});
const KNOWN = {
  key: '09a39987bd39fd185e7f93b0aab5f6f3b6a4daa5963e5b11233ade521b94dea233411d5b',
  spi: 112_874_375,
};

test('a key file is made once, for its owner alone', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'state/node.key');
  const publicKey = ensureKeyFile(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(ensureKeyFile(file), publicKey, 'the second finds it');
  assert.match(readFileSync(file, 'utf8'), /^[A-Za-z0-9+/]{43}=\n$/, 'as wg genkey writes it');
  assert.equal(readKeyOf(file, publicKey), readKeyFile(file));
  const direction = { ...there, to: { ...there.to, publicKey } };
  assert.deepEqual(espKeyOf(direction, false, file), espKey(direction, ALICE, publicKey));
  assert.throws(() => readKeyOf(file, ALICE_PUBLIC), { code: 'EBADKEY' });
  assert.throws(() => espKeyOf(there, false, file), { code: 'EBADKEY' });
  assert.throws(() => readKeyFile(join(dir, 'none')), { code: 'EBADKEY', message: /ENOENT/ });
  writeFileSync(file, 'secret?');
  assert.throws(
    () => readKeyFile(file),
    (error: Error) => !error.message.includes('secret?'),
  );
});

test('a key is claimed once in an epoch, and an epoch is of one boot', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'node.key');
  const [one = '', two = ''] = EPOCHS;
  assert.equal(useOf(file, one, 'today'), 'none');
  assert.equal(claimUse(file, one, 'out-1', 'today'), true);
  assert.equal(claimUse(file, one, 'out-1', 'today'), false);
  assert.equal(claimUse(file, one, 'in-1', 'today'), true);
  assert.equal(claimUse(file, two, 'out-1', 'today'), true, 'another epoch, another key');
  dropClaim(file, one, 'out-1');
  assert.equal(claimUse(file, one, 'out-1', 'today'), true, 'one that was not used');
  assert.deepEqual([useOf(file, one, 'today'), useOf(file, one, 'tomorrow')], ['now', 'before']);
  // what was claimed last may not have come to the disk
  assert.equal(claimUse(file, one, 'out-2', 'tomorrow'), false, 'whatever was claimed');
  ensureKeyFile(file);
  keepKey(file, [one]);
  assert.equal(claimUse(file, two, 'out-1', 'today'), true, 'it was forgotten');
  assert.equal(claimUse(file, one, 'in-1', 'today'), false, 'it was kept');
});

test('keys of a directory follow each other, and one stays', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const keys = join(dir, 'network');
  const first = nextKeyFile(keys);
  assert.equal(first, join(keys, '1.key'));
  assert.equal(nextKeyFile(keys), first, 'nothing was made');
  const publicKey = ensureKeyFile(first);
  assert.ok(claimUse(first, EPOCHS[0] ?? '', 'out-1', 'today'));
  const second = nextKeyFile(keys);
  assert.equal(second, join(keys, '2.key'));
  assert.notEqual(ensureKeyFile(second), publicKey);
  keepKey(second);
  assert.deepEqual(readdirSync(keys), ['2.key']);
  forgetKeys(keys);
  assert.deepEqual(readdirSync(dir), []);
  forgetKeys(keys);
});
