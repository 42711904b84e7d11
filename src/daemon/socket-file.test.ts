import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { giveToGroup } from './socket-file.ts';

test('giveToGroup: by the group file; nothing where the group is not in it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'netloom-group-'));
  try {
    const path = join(dir, 'socket');
    const groups = join(dir, 'group');
    writeFileSync(path, '', { mode: 0o600 });
    writeFileSync(groups, `netloomish:x:1:\nbroken\nempty:x::\nnetloom:x:${process.getgid?.()}:a,b\n`);
    assert.equal(giveToGroup(path, 'nobodyhere', groups), false);
    assert.equal(giveToGroup(path, 'empty', groups), false);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(giveToGroup(path, 'netloom', groups), true);
    assert.deepEqual([statSync(path).gid, statSync(path).mode & 0o777], [process.getgid?.(), 0o660]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
