import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { humanLine, openLog } from './log.ts';

function collect(): Writable & { text: string } {
  const sink = Object.assign(
    new Writable({ write: (part, _encoding, done) => ((sink.text += part.toString()), done()) }),
    { text: '' },
  );
  return sink;
}

test('JSON lines for programs, at the level asked for', () => {
  const to = collect();
  const log = openLog({ level: 'warn', human: false, to });
  log.info('no');
  log.warn({ a: 1 }, 'yes');
  const { level, msg, a, pid } = JSON.parse(to.text);
  assert.deepEqual([level, msg, a, pid], [40, 'yes', 1, process.pid]);
});

test('one readable line for people, the stack below', () => {
  const to = collect();
  openLog({ human: true, to }).error({ err: new Error('broken'), url: '/v1', n: 5 }, 'it failed');
  assert.match(to.text, /^\d\d:\d\d:\d\d error it failed url=\/v1 n=5\nError: broken\n +at /);
  assert.match(
    humanLine('{"level":30,"time":0,"msg":"listening","socket":"/s"}'),
    /^\d\d:\d\d:\d\d info  listening socket=\/s\n$/,
  );
});

test('an unknown level is named', () => {
  assert.throws(() => openLog({ level: 'loud' }), { code: 'EINVAL', message: "no log level 'loud'" });
});
