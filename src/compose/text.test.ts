import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseEnvFile } from './dotenv.ts';
import { interpolate } from './interpolate.ts';
import { nearest } from './keys.ts';
import { parseShortPort, portsClash } from './ports.ts';
import { parseSeconds } from './service.ts';
import { splitWords } from './shell.ts';

const set: Record<string, string> = { A: 'one', EMPTY: '', B: 'two' };
const lookup = (name: string): string | undefined => set[name];

test('variables: every form of the specification', () => {
  const cases: [string, string][] = [
    ['$A', 'one'],
    ['${A}', 'one'],
    ['x${A}y$B.', 'xoneytwo.'],
    ['$$A $${A}', '$A ${A}'],
    ['${EMPTY-d}', ''],
    ['${EMPTY:-d}', 'd'],
    ['${NO-d}', 'd'],
    ['${NO:-${A}}', 'one'],
    ['${NO:-${NEITHER:-deep}}!', 'deep!'],
    ['${NO:-a}b}', 'ab}'],
    ['${A:+yes}', 'yes'],
    ['${EMPTY:+yes}', ''],
    ['${EMPTY+yes}', 'yes'],
    ['${A:?needed}', 'one'],
    ['${EMPTY?needed}', ''],
    ['$(date) 5$ $1', '$(date) 5$ $1'],
    ['${NO:-multi\nline}', 'multi\nline'],
  ];
  for (const [text, want] of cases)
    assert.deepEqual(interpolate(text, lookup), { text: want, unset: [], error: undefined }, text);
});

test('variables: what is missing is said', () => {
  assert.deepEqual(interpolate('a$NO b', lookup), { text: 'a b', unset: ['NO'], error: undefined });
  assert.equal(interpolate('${EMPTY:?set it to ${A}}', lookup).error, 'the variable EMPTY is required: set it to one');
  assert.equal(interpolate('${NO?}', lookup).error, 'the variable NO is required');
  assert.match(interpolate('x${A', lookup).error ?? '', /no closing brace/);
  assert.match(interpolate('${A/one/two}', lookup).error ?? '', /is no variable/);
});

test('variables: text with doubled dollars comes back as it was', () => {
  fc.assert(
    fc.property(fc.string(), (text) => assert.equal(interpolate(text.replaceAll('$', '$$$$'), lookup).text, text)),
  );
});

test('environment files', () => {
  const text = [
    '# a comment',
    '',
    'PLAIN = some words # and a comment',
    'export HASH=a#b',
    `LITERAL='$A # stays'`,
    'FILLED="$A\\t\\"${PLAIN}\\" \\$A"  # behind',
    'LONG="first',
    'second"',
    'A',
    'NO',
    'NONE=',
    'LAST=${LONG}',
  ].join('\n');
  assert.deepEqual(Object.fromEntries(parseEnvFile(text, '.env', lookup)), {
    PLAIN: 'some words',
    HASH: 'a#b',
    LITERAL: '$A # stays',
    FILLED: 'one\t"some words" $A',
    LONG: 'first\nsecond',
    A: 'one',
    NONE: '',
    LAST: 'first\nsecond',
  });
  assert.throws(() => parseEnvFile('A=1\nB="x\n\nC=2', 'web.env', lookup), {
    code: 'EENVFILE',
    message: 'web.env:2: the quote of B does not close',
  });
  assert.throws(() => parseEnvFile('L="a\nb"\nno way', 'web.env', lookup), {
    message: 'web.env:3: "no way" is not NAME=value',
  });
});

test('command lines are split as a shell does', () => {
  assert.deepEqual(splitWords(`node  server.mjs --name 'a b' "c \\"d\\" \\x" e\\ f ''`), [
    'node',
    'server.mjs',
    '--name',
    'a b',
    'c "d" \\x',
    'e f',
    '',
  ]);
  assert.equal(splitWords(`echo 'open`), undefined);
  assert.equal(splitWords('echo \\'), undefined);
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
      assert.deepEqual(splitWords(line), words);
    }),
  );
});

test('ports in the short form', () => {
  const tcp = { protocol: 'tcp' };
  const cases: [string, unknown][] = [
    ['80', [{ ...tcp, hostPort: 0, containerPort: 80, count: 1 }]],
    ['8888:80', [{ ...tcp, hostPort: 8888, containerPort: 80, count: 1 }]],
    ['5353:53/udp', [{ protocol: 'udp', hostPort: 5353, containerPort: 53, count: 1 }]],
    ['9090-9091:8080-8081', [{ ...tcp, hostPort: 9090, containerPort: 8080, count: 2 }]],
    ['8000-9000:80', [{ ...tcp, hostPort: 8000, hostPortEnd: 9000, containerPort: 80, count: 1 }]],
    ['127.0.0.1:8001:81', [{ ...tcp, hostAddress: '127.0.0.1', hostPort: 8001, containerPort: 81, count: 1 }]],
    ['127.0.0.1::81', [{ ...tcp, hostAddress: '127.0.0.1', hostPort: 0, containerPort: 81, count: 1 }]],
    ['[::1]:8001:81/sctp', [{ protocol: 'sctp', hostAddress: '::1', hostPort: 8001, containerPort: 81, count: 1 }]],
    [
      '3000-3001',
      [
        { ...tcp, hostPort: 0, containerPort: 3000, count: 1 },
        { ...tcp, hostPort: 0, containerPort: 3001, count: 1 },
      ],
    ],
  ];
  for (const [text, want] of cases) assert.deepEqual(parseShortPort(text), want, text);
  for (const text of [
    '',
    'http',
    '80:http',
    '70000',
    '9-8',
    '8000-8002:80-81',
    '80/icmp',
    '1.2.3:80:80',
    '::1:80:80',
    '80/tcp/x',
    '[::1]:80',
  ]) {
    assert.throws(() => parseShortPort(text), { code: 'EBADPORT' }, text);
  }
});

test('ports clash only where both cannot listen', () => {
  const clash = (a: string, b: string): boolean => portsClash(parseShortPort(a)[0]!, parseShortPort(b)[0]!);
  assert.equal(clash('80:80', '80:81'), true);
  assert.equal(clash('80-90:80-90', '85:1'), true);
  assert.equal(clash('80-84:80-84', '85:1'), false);
  assert.equal(clash('80:80', '80:80/udp'), false);
  assert.equal(clash('127.0.0.1:80:80', '127.0.0.2:80:80'), false);
  assert.equal(clash('127.0.0.1:80:80', '0.0.0.0:80:80'), true);
  assert.equal(clash('[::]:80:80', '0.0.0.0:80:80'), false);
  assert.equal(clash('80', '80'), false);
});

test('durations and near names', () => {
  assert.deepEqual(['10', '10s', '1m30s', '1.5s', '500ms', '2h'].map(parseSeconds), [10, 10, 90, 2, 1, 7200]);
  for (const text of ['', 's', '10 s', '5x', '1m-3s'])
    assert.throws(() => parseSeconds(text), { code: 'EBADDURATION' }, text);
  const known = ['environment', 'networks', 'network_mode', 'ports', 'command'];
  assert.equal(nearest('enviroment', known), 'environment');
  assert.equal(nearest('netwroks', known), 'networks');
  assert.equal(nearest('network-mode', known), 'network_mode');
  assert.equal(nearest('banana', known), undefined);
});
