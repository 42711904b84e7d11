import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import {
  chainAdd,
  compile,
  compileRule,
  NftConn,
  type NftFamily,
  type NftSet,
  printCommand,
  printRule,
  sameExprs,
  setAdd,
  statementRuleAdd,
  tableAdd,
} from '../../src/nftables/index.ts';
import { RULES, type RuleCase, SETS } from '../golden/nftables/rules.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { jsonIn, okIn } from '../lib/run.ts';

checkDescriptors();

const families = [...new Set(RULES.map((rule) => rule.family))];

for (const family of families) {
  test(`family ${family}: each rule compiles to what nft makes of its text`, async (t) => {
    const rules = RULES.filter((rule) => rule.family === family);
    const table = { family, name: 't' };
    const sets = setsOf(family);
    using theirHost = Netns.create();
    using ourHost = Netns.create();
    using theirs = NftConn.open(theirHost);
    using ours = NftConn.open(ourHost);
    await okIn(theirHost, ['nft', '-f', '-'], { input: script(family, sets, rules) });
    await ours.commit([
      tableAdd(table),
      chainAdd({ family, table: 't', name: 'c' }),
      ...rules.map((_, i) => chainAdd({ family, table: 't', name: `r${i}` })),
      ...sets.map((set) => setAdd(set)),
    ]);
    for (const [i, rule] of rules.entries()) {
      await t.test(rule.text, async () => {
        const place = { family, table: 't', chain: `r${i}` };
        assert.equal(printRule(rule), rule.text);
        const compiled = compileRule({ ...place, ...rule }, { sets });
        const [reference] = await theirs.rules(table, place.chain);
        assert.deepEqual(plain(compiled), plain(reference!.exprs));
        assert.ok(sameExprs(compiled, reference!.exprs));
        await ours.commit(statementRuleAdd({ ...place, ...rule }, { sets }));
        const [written] = await ours.rules(table, place.chain);
        assert.ok(sameExprs(written!.exprs, reference!.exprs), 'read back as nft’s own');
      });
    }
    assert.deepEqual(await ruleset(ourHost), await ruleset(theirHost));
  });
}

test('each rule’s printed command makes the same rule in a shell', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  const family = 'inet';
  const rules = RULES.filter((rule) => rule.family === family);
  const sets = setsOf(family);
  const lines = [
    printCommand({ table: { family, name: 't' } }, 'add'),
    printCommand({ chain: { family, table: 't', name: 'c' } }, 'add'),
    ...sets.map((set) => printCommand({ set }, 'add')),
    printCommand({ chain: { family, table: 't', name: 'r' } }, 'add'),
    ...rules.map((rule) => printCommand({ rule: { table: 't', chain: 'r', ...rule } }, 'add')),
  ];
  await okIn(netns, ['sh', '-e'], { input: lines.join('\n') });
  const written = await conn.rules({ family, name: 't' }, 'r');
  assert.equal(written.length, rules.length);
  for (const [i, rule] of rules.entries()) {
    const { exprs } = compile({ table: 't', chain: 'r', ...rule }, { sets }).rule;
    assert.ok(sameExprs(written[i]!.exprs, exprs), rule.text);
  }
});

function setsOf(family: NftFamily): NftSet[] {
  return family === 'inet' ? SETS.map((set) => ({ family, table: 't', ...set })) : [];
}

function script(family: NftFamily, sets: readonly NftSet[], rules: readonly RuleCase[]): string {
  return [
    `add table ${family} t`,
    `add chain ${family} t c`,
    ...rules.map((_, i) => `add chain ${family} t r${i}`),
    ...sets.map((set) => printCommand({ set }, 'add').replace(/^nft |'/g, '')),
    ...rules.map((rule, i) => `add rule ${family} t r${i} ${rule.text}`),
    '',
  ].join('\n');
}

/** Expressions with what may differ taken out, for a readable difference. */
function plain(exprs: readonly object[]): unknown {
  return exprs.map((expr) => {
    const { setId: _, ...rest } = expr as { setId?: number; set?: string };
    return rest.set === undefined ? rest : { ...rest, set: rest.set.replace(/^(__set|__map)(\d+|%d)$/, '$1') };
  });
}

/** What nft itself says, without the numbers that the kernel gives out. */
async function ruleset(netns: Netns): Promise<unknown> {
  const { nftables } = await jsonIn<{ nftables: Record<string, Record<string, unknown>>[] }>(netns, [
    'nft',
    '-j',
    'list',
    'ruleset',
  ]);
  const text = JSON.stringify(nftables, (key, value: unknown) => (key === 'handle' ? undefined : value));
  return JSON.parse(text.replace(/__(set|map)\d+/g, '__$1'));
}
