import { chmodSync, chownSync, lstatSync, mkdirSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { NetloomError } from '../errors.ts';
import { Fd, native, syscall } from '../kernel/index.ts';

/** sockaddr_un's sun_path less its final zero: unix(7). */
const PATH_MAX_BYTES = 107;
/** flock(2). */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * The right to listen on a path, held until disposed: a lock beside the socket, so that two daemons that start at the
 * same moment cannot both take a stale one for theirs. A dead daemon's socket file is removed.
 * @throws NetloomError EDAEMONRUNNING when somebody listens, ENOTSOCK when something else stands there, ENAMETOOLONG,
 * and what mkdir and open raise.
 */
export async function claimSocketPath(path: string): Promise<Fd> {
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) {
    throw new NetloomError('ENAMETOOLONG', `the socket path has more than ${PATH_MAX_BYTES} bytes: ${path}`);
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const lock = new Fd(openSync(`${path}.lock`, 'a', 0o600), `lock of ${path}`);
  try {
    if (!syscall(`lock ${path}.lock`, () => native.flock(lock.number, LOCK_EX | LOCK_NB))) throw running(path);
    await removeStale(path);
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new NetloomError('ENOTSOCK', `${path} is there and is no socket`, { hint: 'move it away' });
  if (await listens(path)) throw running(path);
  unlinkSync(path);
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}

function running(path: string): NetloomError {
  const hint = 'stop it first, or give this one another --socket';
  return new NetloomError('EDAEMONRUNNING', `a daemon listens on ${path} already`, { hint });
}

/** Listens on a claimed path, with its mode from the first instant. The file goes when the server closes. */
export function listenOnPath(server: Server, path: string, mode: 0o660 | 0o600 = 0o660): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // bind(2) happens inside listen(), before it returns: no other JavaScript sees this mask.
    const before = process.umask(0o777 & ~mode);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Where a unix socket is bound, as it was said then; empty for one that is not, or in the abstract. */
export function boundPath(descriptor: number): string {
  const address = Buffer.from(syscall('socket name', () => native.socketName(descriptor)));
  // struct sockaddr_un: two bytes of family, then the path
  const family = address.length < 2 ? 0 : Math.max(address.readUInt8(0), address.readUInt8(1));
  const path = family === AF_UNIX ? address.toString('utf8', 2) : '';
  return path.split('\0', 1)[0] ?? '';
}
/** bits/socket.h */
const AF_UNIX = 1;

/** Gives the socket to a group; false where the machine has no such group. @throws what chown raises. */
export function giveToGroup(path: string, group: string, groupFile: string = '/etc/group'): boolean {
  const gid = groupId(group, groupFile);
  if (gid === undefined) return false;
  chownSync(path, -1, gid);
  chmodSync(path, 0o660); // chown(2) may clear bits
  return true;
}

/** group(5): `name:password:gid:members`. */
function groupId(name: string, groupFile: string): number | undefined {
  const line = readFileSync(groupFile, 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const gid = Number(line?.split(':')[2] || Number.NaN);
  return Number.isInteger(gid) ? gid : undefined;
}
