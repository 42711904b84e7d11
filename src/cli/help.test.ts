import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { translate } from './argv.ts';
import { TOPICS } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { renderDocs } from './docs.ts';
import { ran } from './fixture.test.ts';

for (const command of COMMANDS) {
  const path = command.path.join(' ');
  test(`netloom ${path} --help is a page`, async () => {
    const { stdout, status, stderr } = await ran([...command.path, '--help'], { columns: 80 });
    assert.equal(status, 0);
    assert.equal(stderr, '');
    for (const heading of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'FLAGS OF EVERY COMMAND', 'EXAMPLE', 'EXIT STATUS'])
      assert.match(stdout, new RegExp(`^\\S*${heading}`, 'm'));
    assert.ok(command.description.length > command.brief.length && command.examples.length > 0);
    for (const name of Object.values(command.positionals))
      assert.ok(stdout.includes(name.placeholder), name.placeholder);
  });
  test(`the examples of netloom ${path} are command lines of it`, () => {
    for (const { command: example } of command.examples) {
      const words = example
        .replace(/^.*?(?=netloom )/, '')
        .split(' ')
        .slice(1);
      assert.equal(translate(words, COMMANDS).command, command, example);
    }
  });
}
test('netloom alone lists every verb by topic, and fits 80 columns', async () => {
  const { stdout, status } = await ran([], { columns: 80, env: { NO_COLOR: '1' } });
  assert.equal(status, 0);
  for (const topic of TOPICS) assert.ok(stdout.includes(`\n${topic.toUpperCase()}\n`), topic);
  for (const command of COMMANDS) assert.equal(stdout.includes(command.brief), !command.hidden, command.brief);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 86, line);
});
test('netloom network lists its verbs only', async () => {
  const { stdout } = await ran(['network']);
  assert.ok(stdout.includes('network create'));
  assert.ok(!stdout.includes('endpoint attach'));
});
test('bold text is for terminals, and not where NO_COLOR is set', async () => {
  assert.ok((await ran(['--help'], { columns: 80 })).stdout.includes('\u001b[1m'));
  assert.ok(!(await ran(['--help'], { columns: 80, env: { NO_COLOR: '1' } })).stdout.includes('\u001b'));
  assert.ok(!(await ran(['--help'])).stdout.includes('\u001b'));
});
test('docs/cli.md is what the definitions say (bin/netloom _docs > docs/cli.md)', () => {
  assert.equal(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8'), renderDocs(COMMANDS));
});
