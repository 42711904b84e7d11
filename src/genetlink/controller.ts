import { UnsupportedError } from '../errors.ts';
import {
  MalformedError,
  NlAttrs,
  type NetlinkConn,
  NetlinkError,
  type NlMessage,
  NLM_F,
  type NlWriter,
  type Request,
} from '../netlink/index.ts';

/** A family as the running kernel has it: its numbers are given out as modules are loaded. */
export interface GenlFamily {
  /** Message type of its requests and answers. */
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** Numbers of its multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>;
}

/**
 * Asks for a family; the kernel loads its module first, where there is one.
 * @param conn of NETLINK_GENERIC
 * @param needs what to do where the kernel has none: `load the module wireguard (CONFIG_WIREGUARD, Linux 5.6)`
 * @throws UnsupportedError; NetlinkError
 */
export async function genlFamily(conn: NetlinkConn, name: string, needs: string): Promise<GenlFamily> {
  try {
    const [answer] = await conn.execute(familyGet(name), { lane: 'thread' });
    if (answer) return parseFamily(answer);
  } catch (cause) {
    if (!(cause instanceof NetlinkError) || cause.code !== 'ENOENT') throw cause;
    throw new UnsupportedError(`generic netlink family ${name}`, needs, { cause });
  }
  throw new MalformedError(`the family ${name} has no answer`);
}

/** linux/genetlink.h CTRL_CMD_GETFAMILY */
export function familyGet(name: string): Request {
  return {
    type: GENL_ID_CTRL,
    flags: 0,
    label: `CTRL_CMD_GETFAMILY ${name}`,
    body(w) {
      genlHeader(w, CTRL_CMD_GETFAMILY, 1);
      w.string(CTRL_ATTR.FAMILY_NAME, name);
    },
  };
}

/** Every family there is. */
export function familyDump(): Request {
  return {
    type: GENL_ID_CTRL,
    flags: NLM_F.DUMP,
    label: 'CTRL_CMD_GETFAMILY',
    body: (w) => genlHeader(w, CTRL_CMD_GETFAMILY, 1),
  };
}

/** CTRL_CMD_NEWFAMILY. @throws MalformedError */
export function parseFamily(message: NlMessage): GenlFamily {
  const attrs = genlAttrs(message);
  const groups = new Map<string, number>();
  let [id, name, version] = [0, '', 0];
  for (const a of attrs) {
    if (a.type === CTRL_ATTR.FAMILY_ID) id = a.u16();
    else if (a.type === CTRL_ATTR.FAMILY_NAME) name = a.string();
    else if (a.type === CTRL_ATTR.VERSION) version = a.u32();
    else if (a.type === CTRL_ATTR.MCAST_GROUPS) {
      for (const item of a.nested()) {
        let [group, number] = ['', 0];
        for (const g of item.nested()) {
          if (g.type === CTRL_ATTR_MCAST_GRP.NAME) group = g.string();
          else if (g.type === CTRL_ATTR_MCAST_GRP.ID) number = g.u32();
        }
        groups.set(group, number);
      }
    }
  }
  attrs.throwIfMalformed();
  if (id === 0) throw new MalformedError(`the family ${name} has no number`);
  return { id, name, version, groups };
}

/** struct genlmsghdr: a command of a family, and its version. */
export function genlHeader(w: NlWriter, command: number, version: number): void {
  w.rawU8(command).rawU8(version).rawU16(0);
}

/** The attributes behind struct genlmsghdr. @throws MalformedError */
export function genlAttrs({ payload }: NlMessage): NlAttrs {
  if (payload.length < GENL_HDRLEN) {
    throw new MalformedError(`genlmsghdr of ${payload.length} bytes, ${GENL_HDRLEN} wanted`);
  }
  return new NlAttrs(payload, GENL_HDRLEN);
}

/** linux/genetlink.h */
const GENL_HDRLEN = 4;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2, VERSION: 3, MCAST_GROUPS: 7 } as const;
const CTRL_ATTR_MCAST_GRP = { NAME: 1, ID: 2 } as const;
