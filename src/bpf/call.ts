import { Fd, native, syscall, SyscallError } from '../kernel/index.ts';

/** linux/bpf.h enum bpf_cmd */
const CMD = {
  MAP_CREATE: 0,
  PROG_LOAD: 5,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
} as const;
const PROG_TYPE_SCHED_CLS = 3;
const MAP_TYPE_LRU_HASH = 9;
/** sizeof(union bpf_attr) of the oldest kernel that has all of what is set: longer ones must be zeros anyway. */
const ATTR = 72;
const NAME = 15;
const LOG = 64 * 1024;

/** A hash of which the kernel drops what was not looked up for longest, once it is full. */
export function createLruHash(name: string, shape: { key: number; value: number; entries: number }): Fd {
  const attr = new Uint8Array(ATTR);
  const view = new DataView(attr.buffer);
  for (const [i, word] of [MAP_TYPE_LRU_HASH, shape.key, shape.value, shape.entries].entries())
    view.setUint32(i * 4, word, true);
  putName(attr, 28, name);
  return open(`map ${name}`, () => native.bpf(CMD.MAP_CREATE, attr, NO_PLACES));
}

/**
 * Has the kernel check and compile a classifier of tc.
 * @throws SyscallError EPERM without CAP_BPF and CAP_NET_ADMIN in the first user namespace; EINVAL and EACCES for a program
 *   that it does not take, with the last of its reasons
 */
export function loadClassifier(name: string, instructions: Uint8Array): Fd {
  const load = (log?: Uint8Array): number => {
    const attr = new Uint8Array(ATTR);
    const view = new DataView(attr.buffer);
    view.setUint32(0, PROG_TYPE_SCHED_CLS, true);
    view.setUint32(4, instructions.length / 8, true);
    putName(attr, 48, name);
    if (!log) return native.bpf(CMD.PROG_LOAD, attr, Uint32Array.of(0, 8, 0, 16), instructions, LICENSE);
    view.setUint32(24, 1, true);
    view.setUint32(28, log.length, true);
    return native.bpf(CMD.PROG_LOAD, attr, Uint32Array.of(0, 8, 0, 16, 0, 32), instructions, LICENSE, log);
  };
  const what = `program ${name}`;
  try {
    return open(what, () => load());
  } catch (error) {
    if (!(error instanceof SyscallError) || (error.code !== 'EINVAL' && error.code !== 'EACCES')) throw error;
    // once more for the kernel's reasons: writing them down costs more than the check itself
    const log = new Uint8Array(LOG);
    try {
      return open(what, () => load(log));
    } catch (again) {
      const words = Buffer.from(log).toString('latin1').split('\0')[0]!.trim().split('\n').slice(-3).join('; ');
      throw new Error(`${what}: ${words}`, { cause: again });
    }
  }
}

/** What is known of a program that hangs somewhere. @throws SyscallError ENOENT where it is gone by now */
export function mapsOfProgram(id: number): readonly number[] {
  using fd = byId(CMD.PROG_GET_FD_BY_ID, id, `program ${id}`);
  // struct bpf_prog_info up to map_ids
  const info = new Uint8Array(64);
  const maps = new Uint8Array(4 * MAPS);
  const view = new DataView(info.buffer);
  view.setUint32(52, MAPS, true);
  infoOf(`program ${id}`, fd, info, [[56, maps]]);
  const count = Math.min(view.getUint32(52, true), MAPS);
  return Array.from({ length: count }, (_, i) => new DataView(maps.buffer).getUint32(i * 4, true));
}
const MAPS = 4;

/** @throws SyscallError ENOENT where it is gone by now */
export function openMap(id: number): Fd {
  return byId(CMD.MAP_GET_FD_BY_ID, id, `map ${id}`);
}

/** Bytes of a map's keys and values. */
export function shapeOf(map: Fd): { readonly key: number; readonly value: number } {
  // struct bpf_map_info up to value_size
  const info = new Uint8Array(16);
  infoOf('map', map, info, []);
  const view = new DataView(info.buffer);
  return { key: view.getUint32(8, true), value: view.getUint32(12, true) };
}

/** @param parts where the kernel writes to what `info` points to: at which byte of it, and the buffer */
function infoOf(what: string, fd: Fd, info: Uint8Array, parts: readonly (readonly [number, Uint8Array])[]): void {
  const attr = new Uint8Array(16);
  const head = new DataView(attr.buffer);
  head.setUint32(0, fd.number, true);
  head.setUint32(4, info.length, true);
  const places = Uint32Array.from([0, 8, ...parts.flatMap(([at]) => [1, at])]);
  const buffers = parts.map(([, buffer]) => buffer);
  syscall(what, () => native.bpf(CMD.OBJ_GET_INFO_BY_FD, attr, places, info, ...buffers));
}

function byId(command: number, id: number, what: string): Fd {
  const attr = new Uint8Array(16);
  new DataView(attr.buffer).setUint32(0, id, true);
  return open(what, () => native.bpf(command, attr, NO_PLACES));
}

function open(what: string, call: () => number): Fd {
  return new Fd(syscall(what, call), what);
}

/** At most 15 letters, digits and underscores. */
function putName(attr: Uint8Array, at: number, name: string): void {
  attr.set(Buffer.from(name.replaceAll(/\W/g, '_').slice(0, NAME), 'latin1'), at);
}

const NO_PLACES = new Uint32Array(0);
/** Some helpers are for programs under the GPL alone: what src/bpf makes for the kernel may be taken under it, too. */
const LICENSE: Uint8Array = Buffer.from('Dual BSD/GPL\0', 'latin1');
