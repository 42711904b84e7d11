import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { LAYERS } from './layers.ts';
import { importsOf, layerOf, readSources, violations, type Sources } from './sources.ts';

test('src/ keeps the rules of its layers', () => {
  const sources = readSources();
  assert.ok(sources.size > 50, 'the sources are found');
  assert.deepEqual(violations(sources), []);
});

test('the layers have an order: no two import each other, by however many steps', () => {
  const order = new Map<string, number>();
  const rank = (layer: string, above: readonly string[] = []): number => {
    assert.ok(!above.includes(layer), `${[...above, layer].join(' → ')} is a circle`);
    const known = order.get(layer);
    if (known !== undefined) return known;
    const below = (LAYERS[layer]?.may ?? [])
      .filter((name) => !name.includes('/'))
      .map((n) => rank(n, [...above, layer]));
    order.set(layer, Math.max(0, ...below.map((n) => n + 1)));
    return order.get(layer)!;
  };
  for (const layer of Object.keys(LAYERS)) rank(layer);
});

test('the rules mean something: every layer they allow exists, and every layer has files', () => {
  const present = new Set([...readSources().keys()].map(layerOf));
  for (const [layer, { may }] of Object.entries(LAYERS)) {
    assert.ok(present.has(layer), `layer ${layer} has no file in src/: take its row out`);
    for (const name of may)
      assert.ok(name.includes('/') || name in LAYERS, `${layer} may import ${name}, which is no layer`);
  }
});

test('imports are found in every form', () => {
  const text = `
    import { a } from './a.ts';
    import type { T } from '../addr/index.ts';
    import {
      b,
      type U,
    } from "../errors.ts";
    export * from './c.ts';
    export type { V } from './d.ts';
    import './effect.ts';
    const lazy = await import('yaml');
    const shape: typeof import('./e.ts') = lazy;
    // import { no } from './comment.ts';
    /* import { no } from './comment.ts'; */
  `;
  assert.deepEqual(
    importsOf('model/x.ts', text).map(({ to, typeOnly, names }) => [
      to,
      typeOnly ? 'type' : names ? 'value' : 'effect',
    ]),
    [
      ['model/a.ts', 'value'],
      ['addr/index.ts', 'type'],
      ['errors.ts', 'value'],
      ['model/c.ts', 'value'],
      ['model/d.ts', 'type'],
      ['model/effect.ts', 'effect'],
      ['yaml', 'value'],
      ['model/e.ts', 'type'],
    ],
  );
});

const bad: readonly (readonly [what: string, file: string, text: string, because: RegExp])[] = [
  ['an import upwards', 'netlink/x.ts', `import { a } from '../rtnetlink/a.ts';`, /know no family/],
  ['even of a type', 'model/x.ts', `import type { A } from '../facts/a.ts';`, /know no kernel/],
  ['one family in another', 'nftables/x.ts', `import { a } from '../rtnetlink/a.ts';`, /no other family/],
  ['a door in the engine', 'engine/x.ts', `import { a } from '../cli/a.ts';`, /knows no door/],
  ['a family in a door', 'cli/x.ts', `const a = await import('../rtnetlink/a.ts');`, /parses and prints/],
  ['test code', 'engine/x.ts', `import { a } from '../../test/lib/host.ts';`, /nothing outside itself/],
  ['a side effect', 'drivers/x.ts', `import './register.ts';`, /side effect/],
  ['a file that is not there', 'addr/x.ts', `import { a } from './gone.ts';`, /not there/],
  ['a package of another layer', 'model/x.ts', `import { parse } from 'yaml';`, /only compose/],
  ['a package of nobody', 'model/x.ts', `import { x } from 'left-pad';`, /only nobody/],
  ['I/O in a pure layer', 'ipam/x.ts', `import { readFileSync } from 'node:fs';`, /ipam is pure/],
  ['I/O behind a pure layer', 'model/x.ts', `import { a } from './io.ts';`, /model\/io.ts → node:net/],
  ['a clock in a pure layer', 'ipam/x.ts', `const now = Date.now();`, /the time and the dice/],
  ['a tool as a process', 'engine/process.ts', `spawn('ip', ['link']);`, /oracle/],
  ['a tool by its path', 'engine/process.ts', `execFileSync('/usr/sbin/nft', ['list']);`, /oracle/],
  ['processes elsewhere', 'facts/x.ts', `import { spawn } from 'node:child_process';`, /processes are started/],
  ['the addon elsewhere', 'netlink/x.ts', `const native = createRequire(here)('x.node');`, /one file loads/],
  ['an attribute number', 'facts/x.ts', `const mtu = IFLA_MTU;`, /known to their family/],
  ['bytes', 'engine/x.ts', `const w = new NlWriter();`, /written and read/],
  ['an unknown layer', 'utils/x.ts', `export const a = 1;`, /does not know/],
];
const around: Sources = new Map(
  ['rtnetlink/a.ts', 'facts/a.ts', 'cli/a.ts', 'drivers/register.ts'].map((file) => [file, '']),
);
for (const [what, file, text, because] of bad) {
  test(`refused: ${what}`, () => {
    const sources = new Map([...around, ['model/io.ts', `import { connect } from 'node:net';`], [file, text]]);
    const own = violations(sources).filter((line) => line.startsWith(file));
    assert.equal(own.length, 1, own.join('\n'));
    assert.match(own[0]!, because);
  });
}
