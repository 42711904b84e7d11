import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode, UnsupportedError } from '../../src/errors.ts';
import {
  bootId,
  Netns,
  readSysctl,
  sysctlPath,
  SyscallError,
  tunCreate,
  tunName,
  writeSysctl,
} from '../../src/kernel/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'netloom-kernel-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const tunMissing = ((): string | false => {
  using netns = Netns.create();
  try {
    tunCreate(netns, '', { mode: 'tun' }).close();
    return false;
  } catch (error) {
    return hasCode(error, 'EACCES', 'EUNSUPPORTED') ? `/dev/net/tun cannot be opened: ${error.code}` : false;
  }
})();

test('a pin keeps a namespace alive under its path, until it is taken away', () => {
  const pin = join(dir, 'a', 'blue');
  let inode: bigint;
  {
    using netns = Netns.create();
    inode = netns.inode;
    netns.pin(pin);
    assert.throws(
      () => netns.pin(pin),
      (e) => hasCode(e, 'EEXIST'),
    );
  }
  {
    using again = Netns.open(pin);
    assert.equal(again.inode, inode);
    using own = Netns.current();
    assert.notEqual(own.inode, inode);
    using same = Netns.ofPid(process.pid);
    assert.equal(same.inode, own.inode);
  }
  Netns.unpin(pin);
  assert.deepEqual(readdirSync(join(dir, 'a')), []);
  Netns.unpin(pin); // once more is no error
  assert.throws(
    () => Netns.open(pin),
    (e) => hasCode(e, 'ENOENT'),
  );
});

test('a pin that a crash left half made can be taken away', () => {
  const pin = join(dir, 'half');
  writeFileSync(pin, '');
  assert.throws(
    () => Netns.open(pin),
    (e) => hasCode(e, 'EINVAL'),
  );
  Netns.unpin(pin);
  assert.deepEqual(
    readdirSync(dir).filter((name) => name === 'half'),
    [],
  );
});

test('sysctls are those of the namespace', () => {
  using netns = Netns.create();
  using other = Netns.create();
  writeSysctl(netns, 'net.ipv4.ip_forward', 1);
  writeSysctl(other, 'net/ipv4/ip_forward', '0');
  assert.equal(readSysctl(netns, 'net.ipv4.ip_forward'), '1');
  assert.equal(readSysctl(other, 'net.ipv4.ip_forward'), '0');
  writeSysctl(netns, 'net.ipv4.ip_local_port_range', '2000 3000');
  assert.equal(readSysctl(netns, 'net.ipv4.ip_local_port_range'), '2000\t3000');
});

test('the name of an interface may hold a dot', { skip: tunMissing }, () => {
  using netns = Netns.create();
  using tun = tunCreate(netns, 'eth0.5', { mode: 'tap' });
  assert.equal(tunName(tun), 'eth0.5');
  writeSysctl(netns, 'net.ipv4.conf.eth0/5.forwarding', 1);
  assert.equal(readSysctl(netns, 'net/ipv4/conf/eth0.5/forwarding'), '1');
  assert.equal(sysctlPath('net.ipv4.conf.eth0/5.forwarding'), '/proc/sys/net/ipv4/conf/eth0.5/forwarding');
});

test('a sysctl that is wrong is told apart', () => {
  using netns = Netns.create();
  assert.throws(
    () => readSysctl(netns, 'net.ipv4.conf.nope0.forwarding'),
    (e) => e instanceof UnsupportedError && e.hint !== '',
  );
  assert.throws(() => writeSysctl(netns, 'net.nope', 1), UnsupportedError);
  assert.throws(
    () => writeSysctl(netns, 'net.ipv4.conf.lo.forwarding', 'x'),
    (e) => hasCode(e, 'EINVAL'),
  );
  for (const key of [
    '',
    'net',
    'net..ipv4',
    'net/../kernel/hostname',
    '../proc',
    '/proc/sys/net',
    'net.ipv4\0x',
    'a/./b',
  ]) {
    assert.throws(
      () => readSysctl(netns, key),
      (e) => hasCode(e, 'EINVAL'),
      key,
    );
  }
});

test('a TUN device lives in its namespace and goes with its descriptor', { skip: tunMissing }, () => {
  using netns = Netns.create();
  const devices = (): string[] => {
    writeSysctl(netns, 'net.ipv4.conf.all.forwarding', 0);
    try {
      return [readSysctl(netns, 'net.ipv4.conf.tap7.forwarding')];
    } catch {
      return [];
    }
  };
  const one = tunCreate(netns, 'tap%d', { mode: 'tap', multiQueue: true, vnetHdr: true });
  assert.equal(tunName(one), 'tap0');
  const two = tunCreate(netns, 'tap7', { mode: 'tap', owner: 0 });
  assert.equal(devices().length, 1);
  assert.throws(
    () => tunCreate(netns, 'tap7', { mode: 'tun' }),
    (e) => hasCode(e, 'EINVAL', 'EBUSY'),
  );
  assert.throws(
    () => tunCreate(netns, 'tap0', { mode: 'tap' }),
    (e) => hasCode(e, 'EINVAL', 'EBUSY'),
    'not multi-queue',
  );
  using queue = tunCreate(netns, 'tap0', { mode: 'tap', multiQueue: true, vnetHdr: true });
  assert.equal(tunName(queue), 'tap0');
  assert.throws(
    () => tunCreate(netns, 'a-name-that-is-long', { mode: 'tap' }),
    (e) => hasCode(e, 'ENAMETOOLONG'),
  );
  one.close();
  two.close();
  assert.deepEqual(devices(), []);
});

test('entering does not stay: this thread is in its own namespace afterwards, also after an error', () => {
  const before = readlink();
  using netns = Netns.create();
  assert.throws(() => readSysctl(netns, 'net.nope'), UnsupportedError);
  readSysctl(netns, 'net.ipv4.ip_forward');
  assert.equal(readlink(), before);
  mkdirSync(join(dir, 'no'), { recursive: true });
  assert.throws(() => Netns.open(join(dir, 'no')), SyscallError);
});

function readlink(): string {
  using own = Netns.open('/proc/thread-self/ns/net');
  return String(own.inode);
}

test('the boot has an id', () => {
  assert.match(bootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(bootId(), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
});
