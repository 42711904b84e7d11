import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the image's one program can be called as. */
const APPLETS = ['sh', 'sleep', 'ping', 'nslookup', 'httpd', 'nc', 'wget', 'cat', 'echo', 'ip', 'hostname', 'ls'];

/** Writes a root file system of Debian's static busybox as a tar: what `docker import` takes. */
export function writeRootfs(file: string): void {
  const rootfs = mkdtempSync(join(tmpdir(), 'rootfs-'));
  try {
    for (const each of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run'])
      mkdirSync(join(rootfs, each), { recursive: true });
    copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
    for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
    writeFileSync(join(rootfs, 'etc/hosts'), '127.0.0.1 localhost\n');
    execFileSync('tar', ['-C', rootfs, '--owner=0', '--group=0', '-cf', file, '.']);
  } finally {
    rmSync(rootfs, { recursive: true, force: true });
  }
}

/**
 * Writes an image to `file` as an OCI archive, which containerd, Podman and Docker all read: one layer, in it Debian's
 * static busybox. Its command sleeps until it is killed.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */
export function writeImage(file: string, name: string): void {
  const dir = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    const tar = join(dir, 'layer.tar');
    writeRootfs(tar);

    const layout = join(dir, 'layout');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    const blob = (mediaType: string, content: Uint8Array | string): object => {
      const digest = createHash('sha256').update(content).digest('hex');
      writeFileSync(join(layout, 'blobs/sha256', digest), content);
      return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(content) };
    };
    const layer = readFileSync(tar);
    const diff = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Env: ['PATH=/bin'], Cmd: ['sleep', '1000000'] },
      rootfs: { type: 'layers', diff_ids: [diff] },
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: blob('application/vnd.oci.image.config.v1+json', JSON.stringify(config)),
      layers: [blob('application/vnd.oci.image.layer.v1.tar', layer)],
    };
    const entry = {
      ...blob(manifest.mediaType, JSON.stringify(manifest)),
      annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name.replace(/.*:/, '') },
    };
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
    writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    execFileSync('tar', ['-C', layout, '-cf', file, 'oci-layout', 'index.json', 'blobs']);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
