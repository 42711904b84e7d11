import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { messagesOf, type NlMessage, NLM_F, NlWriter, type Request } from '../../../src/netlink/index.ts';
import {
  batchBegin,
  batchEnd,
  compile,
  decodeRule,
  NFT_MSG,
  type NftSet,
  ruleAdd,
  sameExprs,
} from '../../../src/nftables/index.ts';
import type { Captures } from './capture.ts';
import { OBJECTS } from './objects.ts';
import { RULES, SETS } from './rules.ts';

const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;
const batches = new Map(golden.batches);
const type = (message: number): number => (10 << 8) | message;

for (const [script, requests] of Object.entries(OBJECTS)) {
  test(`nft: ${script.replaceAll('\n', '; ')}`, () => {
    const hex = batches.get(script);
    assert.ok(hex, 'not captured: run capture.ts');
    const theirs = [...messagesOf(Buffer.from(hex, 'hex'))].map(flatten).filter(isFirst);
    const ours = [...messagesOf(encode([batchBegin(), ...requests, batchEnd()]))].map(flatten);
    assert.deepEqual(ours, theirs);
  });
}

for (const [script, hex] of golden.batches.filter(([s]) => !(s in OBJECTS))) {
  const family = script.split(' ')[2];
  const rules = RULES.filter((rule) => rule.family === family);
  const sets: NftSet[] = family === 'inet' ? SETS.map((set) => ({ family: 'inet', table: 't', ...set })) : [];
  const messages = [...messagesOf(Buffer.from(hex, 'hex'))].filter((m) => m.type === type(NFT_MSG.NEWRULE));

  test(`family ${family}: every rule is captured`, () => assert.equal(messages.length, rules.length));
  for (const [i, rule] of rules.entries()) {
    test(`nft: add rule ${family} t r ${rule.text}`, () => {
      const captured = decodeRule(messages[i]!);
      const compiled = compile({ table: 't', chain: 'r', ...rule }, { sets }).rule;
      // the kernel fills in the level that nft leaves out
      const theirs = captured.exprs.map((e) =>
        e.name === 'log' && e.group === undefined ? { level: 'warn' as const, ...e } : e,
      );
      assert.ok(
        sameExprs(compiled.exprs, theirs.map(withoutDefaults)),
        `${show(compiled.exprs)}\n${show(captured.exprs)}`,
      );
      // and what we read from nft's bytes, we write again
      const [again] = messagesOf(encode([ruleAdd(captured)]));
      assert.deepEqual(decodeRule(again!), captured);
    });
  }
}

test('the fixtures say where they come from', () => {
  assert.match(golden.nft, /^nftables v\d/);
  assert.match(golden.kernel, /^\d+\.\d+/);
});

/** nft spells out what a group of log has by default, and the kernel does not show it. */
function withoutDefaults<E extends { readonly name: string }>(expr: E): E {
  if (expr.name !== 'log') return expr;
  const { snaplen, queueThreshold, ...rest } = expr as unknown as { snaplen?: number; queueThreshold?: number };
  return { ...rest, ...(snaplen && { snaplen }), ...(queueThreshold && { queueThreshold }) } as unknown as E;
}

function encode(requests: readonly Request[]): Uint8Array {
  const writer = new NlWriter();
  requests.forEach((request, i) => {
    writer.message(request.type, request.flags | NLM_F.REQUEST, i);
    request.body(writer);
  });
  return writer.finish();
}

/** A message as lines `path=value`, with what has no meaning taken out: order, padding, numbers inside the batch. */
function flatten(message: NlMessage): unknown {
  const lines: string[] = [];
  walk(message.payload.subarray(4), '', message.type, lines);
  const header = Buffer.from(message.payload.subarray(0, 4)).toString('hex');
  // nft adds tables without NLM_F_CREATE, which the kernel does not look at for them
  const flags = message.type === type(NFT_MSG.NEWTABLE) ? message.flags & ~NLM_F.CREATE : message.flags;
  return { type: message.type, flags, header, lines: lines.toSorted() };
}

function walk(bytes: Uint8Array, path: string, message: number, lines: string[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let index = 0;
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = view.getUint16(at, true);
    const raw = view.getUint16(at + 2, true);
    const value = bytes.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
    const inElements = message === type(NFT_MSG.NEWSETELEM) && path === '/3';
    // nft begins intervals with the end of nothing, where its cache says that the set is empty
    if (inElements && index === 0 && isNothing(value)) continue;
    // nft numbers the entries of the list, the header calls them all NFTA_LIST_ELEM
    const name = inElements ? `#${index}` : String(raw & 0x3fff);
    const here = `${path}/${name}`;
    if (isInternal(message, here)) continue;
    index++;
    if ((raw & 0x8000) !== 0) {
      lines.push(here);
      walk(value, here, message, lines);
    } else lines.push(`${here}=${Buffer.from(value).toString('hex')}`);
  }
}

/** nft sends the elements of a new set with intervals twice. */
function isFirst(message: unknown, i: number, all: readonly unknown[]): boolean {
  return all.findIndex((other) => isDeepStrictEqual(other, message)) === i;
}

/** Numbers that name sets inside one batch: NFTA_SET_ID, NFTA_SET_ELEM_LIST_SET_ID. */
function isInternal(message: number, path: string): boolean {
  return (
    (message === type(NFT_MSG.NEWSET) && path === '/10') || (message === type(NFT_MSG.NEWSETELEM) && path === '/4')
  );
}

/** NFTA_SET_ELEM_FLAGS with NFT_SET_ELEM_INTERVAL_END, and a key of zeros. */
function isNothing(element: Uint8Array): boolean {
  const hex = Buffer.from(element).toString('hex');
  return /^0800030000000001[0-9a-f]{8}[0-9a-f]{8}0*$/.test(hex);
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'bigint' ? String(v) : v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v,
  );
}
