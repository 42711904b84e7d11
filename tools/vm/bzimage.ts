import { execFileSync } from 'node:child_process';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

const FORMATS: readonly (readonly [magic: string, unpack: (payload: Buffer) => Buffer])[] = [
  ['fd377a585a00', (payload) => execFileSync('xz', ['-dc'], { input: payload.subarray(0, -4), maxBuffer: 2 ** 30 })],
  ['28b52ffd', (payload) => zstdDecompressSync(payload.subarray(0, -4))],
  ['1f8b', (payload) => gunzipSync(payload)],
];

/**
 * The kernel proper, an ELF file, out of a bzImage: under emulation, the guest would take seconds to unpack it by itself.
 * The boot protocol (Documentation/arch/x86/boot.rst, 2.08 and newer) says where it lies; its last four bytes are its
 * unpacked size.
 *
 * @throws Error when it is no such image, or packed in a way that is not known here.
 */
export function kernelOf(image: Buffer): Buffer {
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS' || image.readUInt16LE(0x206) < 0x208) {
    throw new Error('this is no bzImage of boot protocol 2.08 or newer');
  }
  const start = ((image[0x1f1] || 4) + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  const format = FORMATS.find(([magic]) => payload.toString('hex', 0, magic.length / 2) === magic);
  if (!format)
    throw new Error(`the kernel is packed in an unknown way, beginning with ${payload.toString('hex', 0, 6)}`);
  const kernel = format[1](payload);
  const size = payload.readUInt32LE(payload.length - 4);
  if (kernel.length !== size || kernel.toString('latin1', 0, 4) !== '\x7fELF') {
    throw new Error(`the kernel is damaged: ${kernel.length} bytes where ${size} of an ELF file were expected`);
  }
  return kernel;
}
