import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { define, type SameType } from './define.ts';
import { definitions } from './index.ts';

interface Thing {
  readonly name: string;
  readonly tags: readonly string[];
  readonly size?: number;
}

// What the compiler must refuse. `tsc -p .` fails when one of these lines compiles.
const TAGS = Type.Array(Type.String());
const SIZE = Type.Optional(Type.Number());
const FEWER = Type.Object({ name: Type.String(), tags: TAGS });
const OTHER = Type.Object({ name: Type.Number(), tags: TAGS, size: SIZE });
const NEEDED = Type.Object({ name: Type.String(), tags: TAGS, size: Type.Number() });
const MORE = Type.Object({ name: Type.String(), tags: TAGS, size: SIZE, more: Type.String() });
// @ts-expect-error a field is missing
define<Thing>()('Thing', FEWER);
// @ts-expect-error a field is of another type
define<Thing>()('Thing', OTHER);
// @ts-expect-error a field is not optional
define<Thing>()('Thing', NEEDED);
// @ts-expect-error a field is superfluous
define<Thing>()('Thing', MORE);

const readonlyAside: SameType<{ a: string[] }, { readonly a: readonly string[] }> = true;
const optionalCounts: SameType<{ a?: string }, { a: string }> = false;
const widthCounts: SameType<{ a: 'x' | 'y' }, { a: string }> = false;

test('a definition is a schema with its name, and a reference to it', () => {
  assert.deepEqual([readonlyAside, optionalCounts, widthCounts], [true, false, false]);
  const thing = define<Thing>()(
    'Thing',
    Type.Object({ name: Type.String(), tags: Type.Array(Type.String()), size: Type.Optional(Type.Number()) }),
  );
  assert.deepEqual({ ...thing.ref }, { $ref: 'Thing#' });
  assert.deepEqual(JSON.parse(JSON.stringify(thing.schema)), {
    $id: 'Thing',
    type: 'object',
    required: ['name', 'tags'],
    properties: {
      name: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      size: { type: 'number' },
    },
  });
});

test('every definition has a name of its own, and names nothing that is not defined', () => {
  const names = definitions.map(({ id }) => id);
  assert.equal(new Set(names).size, names.length);
  for (const [, name] of JSON.stringify(definitions.map(({ schema }) => schema)).matchAll(/"\$ref":"(\w+)#"/g)) {
    assert.ok(names.includes(name as string), name);
  }
});

test('every body refuses unknown fields', () => {
  for (const { id, schema } of definitions.filter(({ id: name }) => name.endsWith('Spec'))) {
    assert.equal((schema as { additionalProperties?: unknown }).additionalProperties, false, id);
  }
});
