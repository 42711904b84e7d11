/** The completion scripts in the shells that they are for, asking a netloom with two networks and two containers. */
// runs: here in one mode (what shells are told)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const fixture = fileURLToPath(new URL('cli-fixture.ts', import.meta.url));
let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'netloom-completion-'));
  writeFileSync(join(dir, 'netloom'), `#!/bin/sh\nexec '${process.execPath}' '${fixture}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(dir, 'compose file.yaml'), '');
});
after(() => rmSync(dir, { recursive: true }));

/** Words as readline splits them: `=` and `:` are words of their own (COMP_WORDBREAKS). The last one is being completed. */
function bash(words: readonly string[]): string[] {
  const script = `
    source <(netloom completion bash) || exit 1
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}
    _netloom
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const result = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    cwd: dir,
    env: { PATH: `${dir}:${process.env['PATH'] ?? ''}`, HOME: dir, NODE_COMPILE_CACHE: join(dir, 'cache') },
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(result.stderr, '');
  assert.equal(result.status, 0);
  return result.stdout.split('\n').filter((line) => line !== '');
}

const table: [words: string[], expected: string[]][] = [
  [['netloom', 'netw'], ['network']],
  [['netloom', 'network', 'r'], ['rm']],
  [
    ['netloom', 'network', 'rm', ''],
    ['web', 'host'],
  ],
  [['netloom', 'network', 'rm', 'web', 'h'], ['host']],
  [
    ['netloom', 'network', 'connect', 'web', ''],
    ['blog', 'job:1'],
  ],
  [['netloom', 'stop', ''], ['blog']],
  [
    ['netloom', 'run', '--netw'],
    ['--network', '--network-alias'],
  ],
  [['netloom', 'run', '--network', 'w'], ['web']],
  [['netloom', 'run', '--network', '=', 'w'], ['web']],
  [
    ['netloom', 'run', '--net', ''],
    ['web', 'host'],
  ],
  [['netloom', 'run', '-itd', '--name', 'x', '--network', 'h'], ['host']],
  [['netloom', '--json', 'inspect', 'b'], ['blog']],
  [['netloom', 'inspect', 'job', ':'], ['1']],
  [['netloom', 'inspect', 'job', ':', '1'], ['1']],
  [['netloom', 'inspect', 'jo'], ['job:1']],
  [['netloom', 'container', 'stop', 'bl'], ['blog']],
  [['netloom', 'endpoint', 'detach', 'ee'], ['eeeeeeeeeeee']],
  [
    ['netloom', 'unpublish', 'blog', ''],
    ['8888', '5000-5001/udp'],
  ],
  [['netloom', 'unpublish', '--dry-run', 'blog', '8888', '5'], ['5000-5001/udp']],
  [['netloom', 'update', '--network', 'w'], ['web']],
  [['netloom', 'network', 'upd'], ['update']],
  [['netloom', 'network', 'update', '-o', 'mtu=1400', 'w'], ['web']],
  [['netloom', 'dns', ''], ['log']],
  [
    ['netloom', 'events', '--type', 'd'],
    ['dns', 'dhcp'],
  ],
  [['netloom', 'pool', 'rm', ''], ['lab']],
  [['netloom', 'pool', 'release', 'lab', ''], []],
  [
    ['netloom', 'node', 'drain', ''],
    ['a', 'b'],
  ],
  [['netloom', 'network', 'create', '-d', 'ov'], ['overlay']],
  [
    ['netloom', 'network', 'create', '-d', 'overlay', '-o', 'backend', '=', 'ip'],
    ['ipip', 'ipsec'],
  ],
  [['netloom', 'network', 'create', '-d', 'overlay', '-o', 'vn'], ['vni=']],
  [['netloom', 'endpoint', 'update', 'ee'], ['eeeeeeeeeeee']],
  [['netloom', 'doctor', 'x'], []],
  [['netloom', 'up', '-f', 'comp'], ['compose file.yaml']],
  [['netloom', 'daemon', '--log-level', 'de'], ['debug']],
  [
    ['netloom', 'completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['netloom', 'run', 'printe'], ['printenv']],
  [['netloom', 'exec', 'blog', 'printe'], ['printenv']],
  [['netloom', 'exec', 'blog', 'cat', 'comp'], ['compose file.yaml']],
  [['netloom', 'run', '--name', ''], []],
  [['netloom', 'nonsense', ''], []],
];
for (const [words, expected] of table) {
  test(`bash: ${words.join(' ')}<TAB>`, () => assert.deepEqual(bash(words), expected));
}

test('bash: netloom <TAB> offers every topic, and no hidden verb', () => {
  const found = bash(['netloom', '']);
  for (const word of ['run', 'network', 'endpoint', 'up', 'daemon', 'completion'])
    assert.ok(found.includes(word), word);
  assert.ok(!found.some((word) => word.startsWith('_')));
});

test('the scripts for zsh and fish ask for what is typed, and answer files themselves', () => {
  for (const shell of ['zsh', 'fish']) {
    const result = spawnSync(process.execPath, [fixture, 'completion', shell], { encoding: 'utf8' });
    assert.equal(result.status, 0);
    assert.match(result.stdout, /_complete --/);
    for (const directive of [':files', ':directories', ':commands'])
      assert.ok(result.stdout.includes(directive), directive);
    assert.ok(!result.stdout.includes('undefined'));
  }
});
