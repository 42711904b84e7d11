import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { kernelOf } from '../../tools/vm/bzimage.ts';
import { archive } from '../../tools/vm/cpio.ts';
import { makeDirs } from '../lib/dirs.ts';

test('cpio reads the archive as it was meant', () => {
  using dirs = makeDirs();
  const bytes = new Uint8Array(1001).map((_, i) => i);
  const input = archive({
    'a/b/c': { data: bytes, mode: 0o755 },
    'a/ü': { data: 'text' },
    'a/empty': { data: '' },
    directory: undefined,
  });
  execFileSync('busybox', ['cpio', '-i'], { input, cwd: dirs.root, stdio: ['pipe', 'ignore', 'ignore'] });
  const path = (name: string): string => join(dirs.root, name);
  assert.deepEqual(new Uint8Array(readFileSync(path('a/b/c'))), bytes);
  assert.equal(statSync(path('a/b/c')).mode, 0o100755);
  assert.equal(readFileSync(path('a/ü'), 'utf8'), 'text');
  assert.equal(statSync(path('a/ü')).mode, 0o100644);
  assert.equal(statSync(path('a/empty')).size, 0);
  assert.equal(statSync(path('directory')).mode, 0o040755);
});

/** A bzImage with one sector of setup. */
function image(payload: Buffer, unpacked: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(unpacked);
  const head = Buffer.alloc(1024 + 16);
  head[0x1f1] = 1;
  head.write('HdrS', 0x202);
  head.writeUInt16LE(0x20f, 0x206);
  head.writeUInt32LE(16, 0x248);
  const whole = Buffer.concat([payload, size]);
  head.writeUInt32LE(whole.length, 0x24c);
  return Buffer.concat([head, whole, Buffer.from('what follows is not the kernel')]);
}

test('the kernel is taken out of its image, and a bad image is refused', () => {
  const kernel = Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(5000, 'x')]);
  const xz = execFileSync('xz', ['-c'], { input: kernel });
  assert.deepEqual(kernelOf(image(xz, kernel.length)), kernel);
  assert.deepEqual(kernelOf(image(gzipSync(kernel).subarray(0, -4), kernel.length)), kernel);
  assert.throws(() => kernelOf(image(xz, kernel.length + 1)), /damaged: 5004 bytes where 5005 of an ELF file/);
  assert.throws(
    () => kernelOf(image(Buffer.from('LZ4 of some sort'), 9)),
    /packed in an unknown way, beginning with 4c5a/,
  );
  assert.throws(() => kernelOf(Buffer.alloc(4096)), /no bzImage/);
  assert.throws(() => kernelOf(Buffer.alloc(4)), /no bzImage/);
});
