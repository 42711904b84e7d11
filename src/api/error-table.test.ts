import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERROR_TABLE } from './error-table.ts';
import { errorsDocument } from './errors-doc.ts';

const SOURCE = new URL('../', import.meta.url).pathname;

test('docs/errors.md is current', () => {
  const file = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  assert.equal(file, errorsDocument(), 'write it anew: node src/api/errors-doc.ts > docs/errors.md');
});

test('every code that src/ raises has a row', () => {
  const missing = new Map<string, string>();
  for (const file of globSync('**/*.ts', { cwd: SOURCE, exclude: ['**/*.test.ts'] })) {
    const text = readFileSync(SOURCE + file, 'utf8');
    // The first argument of whatever makes an error: a code, or a choice of codes.
    for (const [, argument] of text.matchAll(/\b(?:\w*Error|super|refuse|refusal|fail)\(\s*([^,()]*),/g)) {
      for (const [, code] of (argument as string).matchAll(/'(E[A-Z0-9]{2,})'/g)) {
        if (ERROR_TABLE[code as string] === undefined) missing.set(code as string, file);
      }
    }
  }
  assert.deepEqual([...missing], [], 'give each a row in src/api/error-table.ts');
});

test('every meaning is one sentence', () => {
  for (const [code, { meaning }] of Object.entries(ERROR_TABLE)) assert.match(meaning, /^[A-Z][^|\n]+\.$/, code);
});
