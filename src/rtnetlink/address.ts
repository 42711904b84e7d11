import { parseIp, parsePrefix } from '../addr/index.ts';
import { type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import { afOf, attrsOf, bitNames, bitsOfNames, type Family, familyOf, ipText, request, u32At } from './codec.ts';
import { IFA, IFA_F, RT_SCOPE, RTM } from './constants/index.ts';

/** A lifetime without end. linux/if_addr.h says it as the largest 32-bit number. */
export const FOREVER = 0xffff_ffff;

/** ip-address(8). `permanent`, `secondary`, `tentative`, `deprecated` and `dadfailed` are the kernel's to set. */
export type AddressFlag =
  | 'secondary'
  | 'nodad'
  | 'optimistic'
  | 'dadfailed'
  | 'home'
  | 'deprecated'
  | 'tentative'
  | 'permanent'
  | 'mngtmpaddr'
  | 'noprefixroute'
  | 'autojoin'
  | 'stable-privacy';
const FLAGS: readonly (readonly [AddressFlag, number])[] = [
  ['secondary', IFA_F.SECONDARY],
  ['nodad', IFA_F.NODAD],
  ['optimistic', IFA_F.OPTIMISTIC],
  ['dadfailed', IFA_F.DADFAILED],
  ['home', IFA_F.HOMEADDRESS],
  ['deprecated', IFA_F.DEPRECATED],
  ['tentative', IFA_F.TENTATIVE],
  ['permanent', IFA_F.PERMANENT],
  ['mngtmpaddr', IFA_F.MANAGETEMPADDR],
  ['noprefixroute', IFA_F.NOPREFIXROUTE],
  ['autojoin', IFA_F.MCAUTOJOIN],
  ['stable-privacy', IFA_F.STABLE_PRIVACY],
];

/** An address to give to a link. */
export interface AddressSpec {
  /** Index of the link. */
  readonly index: number;
  /** `10.0.0.1/24`, `fd00::1/64`. With a `peer`, the length is the peer's. */
  readonly address: string;
  /** The other end of a point-to-point link, without a length. */
  readonly peer?: string;
  /** IPv4 only; none where it is left out, as with `ip`. */
  readonly broadcast?: string;
  /** RT_SCOPE.*; default: universe, and host for 127.0.0.0/8. IPv6 ignores it. */
  readonly scope?: number;
  readonly flags?: readonly AddressFlag[];
  /** IPv4 only: begins with the link's name. */
  readonly label?: string;
  /** Who made it, IFA_PROTO (since Linux 5.18; older kernels ignore it). */
  readonly proto?: number;
  /** Metric of the prefix route that comes with it. */
  readonly metric?: number;
  /** Seconds that it is kept; default for ever. */
  readonly valid?: number;
  /** Seconds that new connections use it; default for ever. */
  readonly preferred?: number;
}

/** An address as the kernel shows it. */
export interface Address {
  readonly index: number;
  readonly family: Family;
  readonly address: string;
  /** Empty for none. */
  readonly peer: string;
  /** Empty for none. */
  readonly broadcast: string;
  readonly scope: number;
  readonly flags: readonly AddressFlag[];
  /** Empty for IPv6. */
  readonly label: string;
  /** 0 where nobody said. */
  readonly proto: number;
  /** Metric of its prefix route; 0 for the kernel's own choice. */
  readonly metric: number;
  /** Seconds left; FOREVER. */
  readonly valid: number;
  /** Seconds left; FOREVER. */
  readonly preferred: number;
}

/** `ip address add`. @throws NetloomError for text that is no address; NetlinkError EEXIST from the kernel. */
export function addressAdd(spec: AddressSpec): Request {
  return addressRequest(RTM.NEWADDR, NLM_F.CREATE | NLM_F.EXCL, spec);
}
/** `ip address replace`: adds it, or changes flags and lifetimes of the one that is there. */
export function addressReplace(spec: AddressSpec): Request {
  return addressRequest(RTM.NEWADDR, NLM_F.CREATE | NLM_F.REPLACE, spec);
}
/** `ip address delete`. The kernel looks at link, address, length, peer and label; EADDRNOTAVAIL where it has none such. */
export function addressDelete(spec: AddressSpec): Request {
  return addressRequest(RTM.DELADDR, 0, spec);
}

/** `ip address show`, filtered by the kernel. Without a family, take `ipMessages` of the answer. */
export function addressDump(options?: { readonly index?: number; readonly family?: Family }): Request {
  return request(RTM.GETADDR, NLM_F.DUMP, 'RTM_GETADDR dump', (w) => {
    w.rawU8(afOf(options?.family))
      .rawU8(0)
      .rawU8(0)
      .rawU8(0)
      .rawU32(options?.index ?? 0);
  });
}

/** RTM_NEWADDR or RTM_DELADDR. @throws MalformedError */
export function parseAddress(message: NlMessage): Address {
  const attrs = attrsOf(message, 8);
  const { payload } = message;
  const family = familyOf(payload[0]!);
  let local = '';
  let peer = '';
  let broadcast = '';
  let flags = payload[2]!;
  let label = '';
  let proto = 0;
  let metric = 0;
  let valid = FOREVER;
  let preferred = FOREVER;
  for (const a of attrs) {
    switch (a.type) {
      case IFA.LOCAL:
        local = ipText(a);
        break;
      case IFA.ADDRESS:
        peer = ipText(a);
        break;
      case IFA.BROADCAST:
        broadcast = ipText(a);
        break;
      case IFA.FLAGS:
        flags = a.u32();
        break;
      case IFA.LABEL:
        label = a.string();
        break;
      case IFA.PROTO:
        proto = a.u8();
        break;
      case IFA.RT_PRIORITY:
        metric = a.u32();
        break;
      case IFA.CACHEINFO: {
        const info = a.bytes();
        if (info.length < 16) {
          a.fail(`IFA_CACHEINFO holds ${info.length} bytes, 16 wanted`);
          break;
        }
        preferred = u32At(info, 0);
        valid = u32At(info, 4);
        break;
      }
    }
  }
  attrs.throwIfMalformed();
  if (local === '') local = peer; // IPv6 without a peer has IFA_ADDRESS only
  return {
    index: u32At(payload, 4),
    family,
    address: `${local}/${payload[1]!}`,
    peer: peer === local ? '' : peer,
    broadcast,
    scope: payload[3]!,
    flags: bitNames(flags, FLAGS),
    label,
    proto,
    metric,
    valid,
    preferred,
  };
}

/** struct ifaddrmsg and its attributes. linux/if_addr.h */
function addressRequest(type: number, flags: number, spec: AddressSpec): Request {
  const prefix = parsePrefix(spec.address);
  const { bytes, family } = prefix.address;
  const bits = bitsOfNames(spec.flags, FLAGS);
  const verb = type === RTM.NEWADDR ? 'RTM_NEWADDR' : 'RTM_DELADDR';
  return request(type, flags, `${verb} ${prefix.text} index=${spec.index}`, (w) => {
    const scope = spec.scope ?? (family === 4 && bytes[0] === 127 ? RT_SCOPE.HOST : RT_SCOPE.UNIVERSE);
    w.rawU8(afOf(family))
      .rawU8(prefix.length)
      .rawU8(bits > 0xff ? 0 : bits)
      .rawU8(scope)
      .rawU32(spec.index);
    w.bytes(IFA.LOCAL, bytes);
    if (spec.broadcast !== undefined) w.bytes(IFA.BROADCAST, parseIp(spec.broadcast).bytes);
    if (spec.label !== undefined) w.string(IFA.LABEL, spec.label);
    if (spec.metric !== undefined) w.u32(IFA.RT_PRIORITY, spec.metric);
    if (spec.proto !== undefined) w.u8(IFA.PROTO, spec.proto);
    if (bits > 0xff) w.u32(IFA.FLAGS, bits);
    w.bytes(IFA.ADDRESS, spec.peer === undefined ? bytes : parseIp(spec.peer).bytes);
    if (spec.valid !== undefined || spec.preferred !== undefined) {
      const info = new DataView(new ArrayBuffer(16));
      info.setUint32(0, spec.preferred ?? spec.valid ?? FOREVER, true);
      info.setUint32(4, spec.valid ?? FOREVER, true);
      w.bytes(IFA.CACHEINFO, new Uint8Array(info.buffer));
    }
  });
}
