import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translate } from './argv.ts';
import { COMMANDS } from './commands/index.ts';

/** A line as people type it, and what stricli is given. Words are separated by one space; '' is an empty word. */
const table: [typed: string, given: string][] = [
  [
    'network create --driver bridge --subnet 192.168.0.0/16 --gateway 192.168.0.1 mynet',
    'network create --driver=bridge --subnet=192.168.0.0/16 --gateway=192.168.0.1 -- mynet',
  ],
  [
    'run -itd --name busybox-01 --network mynet sleep 1000',
    'run --interactive=true --tty=true --detach=true --name=busybox-01 --network=mynet -- sleep 1000',
  ],
  [
    'run -it -d --name busybox-01 --network bridge sleep 1000',
    'run --interactive=true --tty=true --detach=true --name=busybox-01 --network=bridge -- sleep 1000',
  ],
  [
    'run -it -d --name busybox-01 --net bridge sleep 1000',
    'run --interactive=true --tty=true --detach=true --name=busybox-01 --network=bridge -- sleep 1000',
  ],
  [
    'run -itd --name=mynginx -p 8888:80 nginx',
    'run --interactive=true --tty=true --detach=true --name=mynginx --publish=8888:80 -- nginx',
  ],
  ['run -p8888:80 -p=53:53/udp true', 'run --publish=8888:80 --publish=53:53/udp -- true'],
  ['run -dp 8888:80 true', 'run --detach=true --publish=8888:80 -- true'],
  ['run --rm sh -c exit --rm -it --help', 'run --rm=true -- sh -c exit --rm -it --help'],
  ['run --rm -- -odd --name x', 'run --rm=true -- -odd --name x'],
  ['run -h web true', 'run --hostname=web -- true'],
  ['run -e A=b=c -e -x true', 'run --env=A=b=c --env=-x -- true'],
  ['run -e A= --env= true', 'run --env=A= --env  -- true'],
  ['run --name a --name b true', 'run --name=b -- true'],
  ['run --rm=false true', 'run --rm=false -- true'],
  ['exec -it -w /tmp web ls -l /', 'exec --interactive=true --tty=true --workdir=/tmp -- web ls -l /'],
  ['rm web -f db', 'rm --force=true -- web db'],
  ['--json ps -aq', 'ps --json=true --all=true --quiet=true --'],
  ['--socket /tmp/s ps', 'ps --socket=/tmp/s --'],
  ['ps --json', 'ps --json=true --'],
  ['container ls -a', 'ps --all=true --'],
  ['network list', 'network ls --'],
  ['network connect --alias a --alias b web blog', 'network connect --alias=a --alias=b -- web blog'],
  ['network create --ipv4=false n', 'network create --ipv4=false -- n'],
  ['logs -fn 20 web', 'logs --follow=true --tail=20 -- web'],
  ['logs --tail=20 web', 'logs --tail=20 -- web'],
  ['stop -t0 web', 'stop --time=0 -- web'],
  ['up -f a.yaml -f b.yaml -d', 'up --file=a.yaml --file=b.yaml --detach=true --'],
  ['run --nmae x true', 'run --nmae -- x true'],
  ['run --name', 'run --name --'],
];
for (const [typed, given] of table) {
  test(`netloom ${typed}`, () => assert.deepEqual(translate(typed.split(' '), COMMANDS).argv, given.split(' ')));
}

test('a value with a line break arrives whole', () => {
  assert.deepEqual(translate(['run', '-e', 'A=1\n--rm', 'true'], COMMANDS).argv, [
    'run',
    '--env',
    'A=1\n--rm',
    '--',
    'true',
  ]);
});
test('--help counts before the wrapped command, and -h where it is not --hostname', () => {
  assert.equal(translate(['run', '--help'], COMMANDS).help, true);
  assert.equal(translate(['run', 'sh', '--help'], COMMANDS).help, false);
  assert.equal(translate(['ps', '-h'], COMMANDS).help, true);
  assert.equal(translate(['network', '--help'], COMMANDS).help, true);
});
test('--json is known wherever it stands, but not inside the wrapped command', () => {
  assert.equal(translate(['run', '--json', 'true'], COMMANDS).json, true);
  assert.equal(translate(['run', 'true', '--json'], COMMANDS).json, false);
  assert.equal(translate(['nonsense', '--json'], COMMANDS).json, true);
});
for (const bad of ['-9', '--9', '---x', '-p-']) {
  test(`kill ${bad} is refused, not taken for a name`, () => {
    assert.throws(() => translate(['kill', bad, 'web'], COMMANDS), { code: 'EUSAGE' });
  });
}
test('every short flag and second name leads to a flag that is there', () => {
  for (const command of COMMANDS) {
    for (const flag of [
      ...Object.values(command.shorts),
      ...Object.values(command.longs),
      ...Object.keys(command.completeFlag),
    ]) {
      assert.ok(flag in command.flags, `${command.path.join(' ')}: ${flag}`);
    }
  }
});
