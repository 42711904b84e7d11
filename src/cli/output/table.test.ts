import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cut, displayWidth, renderTable, tableWidth } from './table.ts';

const columns = [
  { title: 'ID', cell: (row: string[]) => row[0] ?? '' },
  { title: 'COMMAND', cell: (row: string[]) => row[1] ?? '', flexible: true },
  { title: 'PORTS', cell: (row: string[]) => row[2] ?? '', flexible: true },
];

test('columns are as wide as their widest cell and lines have no trailing space', () => {
  assert.equal(
    renderTable(columns, [
      ['a', 'sleep', ''],
      ['bcd', 'x', '80/tcp'],
    ]),
    'ID    COMMAND   PORTS\na     sleep\nbcd   x         80/tcp\n',
  );
});

test('in 80 columns no line is longer than 80, whatever the cells hold', () => {
  const cell = fc.string({ unit: 'grapheme', maxLength: 200 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.stringMatching(/^[0-9a-f]{12}$/), cell, cell), { maxLength: 5 }), (rows) => {
      const lines = renderTable(columns, rows, 80).trimEnd().split('\n');
      assert.equal(lines.length, rows.length + 1);
      for (const line of lines) assert.ok(displayWidth(line) <= 80, line);
    }),
  );
});

test('the widest column gives way first', () => {
  const text = renderTable(columns, [['abc', 'c'.repeat(60), 'p'.repeat(20)]], 60);
  assert.match(text, /c…/);
  assert.match(text, /p{20}\n$/);
});

test('wide letters count as two columns', () => {
  assert.equal(displayWidth('网络'), 4);
  assert.equal(cut('网络网络', 5), '网络…');
});

test('a terminal gives its width, a pipe none, COLUMNS wins', () => {
  const sink = { write: () => true, isTTY: true, columns: 100 };
  assert.equal(tableWidth(sink, {}), 100);
  assert.equal(tableWidth({ write: () => true }, {}), Infinity);
  assert.equal(tableWidth(sink, { COLUMNS: '72' }), 72);
});
