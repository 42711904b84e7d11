import type { NlAttrs, NlWriter } from '../../netlink/index.ts';
import { IFLA_VLAN } from '../constants/index.ts';
import { Fields, oneOf, u16, u16be, u32At } from '../codec.ts';
import { VLAN_PROTOCOLS } from './bridge.ts';
import type { KindCodec } from './kind.ts';

/** A priority (skb->priority inside) and the 802.1p class on the wire that it becomes, or came from. */
export type QosMapping = readonly [from: number, to: number];

/** One VLAN of an interface (`LinkSpec.link`). @see ip-link(8) "VLAN Type Support" */
export interface Vlan {
  readonly kind: 'vlan';
  /** 0 to 4094. */
  readonly id?: number;
  readonly protocol?: '802.1Q' | '802.1ad';
  readonly reorderHdr?: boolean;
  readonly gvrp?: boolean;
  readonly mvrp?: boolean;
  /** Its state does not follow that of the interface below. */
  readonly looseBinding?: boolean;
  /** Its state follows the bridge's ports that are in this VLAN (since Linux 5.2). */
  readonly bridgeBinding?: boolean;
  readonly ingressQos?: readonly QosMapping[];
  readonly egressQos?: readonly QosMapping[];
}

/** linux/if_vlan.h VLAN_FLAG_* */
const FLAGS = [
  ['reorderHdr', 0x1],
  ['gvrp', 0x2],
  ['looseBinding', 0x4],
  ['mvrp', 0x8],
  ['bridgeBinding', 0x10],
] as const;
/** linux/if_link.h IFLA_VLAN_QOS_MAPPING */
const QOS_MAPPING = 1;

const fields = new Fields<Pick<Vlan, 'id' | 'protocol'>>([
  ['protocol', IFLA_VLAN.PROTOCOL, oneOf(u16be, VLAN_PROTOCOLS)],
  ['id', IFLA_VLAN.ID, u16],
]);

export const vlan: KindCodec<Vlan> = {
  write(w, info) {
    fields.write(w, info);
    writeQos(w, IFLA_VLAN.INGRESS_QOS, info.ingressQos);
    writeQos(w, IFLA_VLAN.EGRESS_QOS, info.egressQos);
    let flags = 0;
    let mask = 0;
    for (const [key, bit] of FLAGS) {
      if (info[key] === undefined) continue;
      mask |= bit;
      if (info[key]) flags |= bit;
    }
    if (mask !== 0) w.nest(IFLA_VLAN.FLAGS, () => w.rawU32(flags).rawU32(mask));
  },
  read(attrs) {
    const info: { -readonly [K in keyof Vlan]: Vlan[K] } = { kind: 'vlan' };
    for (const a of attrs) {
      if (fields.readOne(a, info)) continue;
      switch (a.type) {
        case IFLA_VLAN.FLAGS: {
          const flags = a.u32();
          for (const [key, bit] of FLAGS) info[key] = (flags & bit) !== 0;
          break;
        }
        case IFLA_VLAN.INGRESS_QOS:
          info.ingressQos = readQos(a.nested());
          break;
        case IFLA_VLAN.EGRESS_QOS:
          info.egressQos = readQos(a.nested());
          break;
      }
    }
    return info;
  },
};

/** struct ifla_vlan_qos_mapping, one attribute each */
function writeQos(w: NlWriter, type: number, mappings: readonly QosMapping[] | undefined): void {
  if (!mappings) return;
  w.nest(type, () => {
    for (const [from, to] of mappings) w.nest(QOS_MAPPING, () => w.rawU32(from).rawU32(to));
  });
}
function readQos(attrs: NlAttrs): QosMapping[] {
  const mappings: QosMapping[] = [];
  for (const a of attrs) {
    const bytes = a.bytes();
    if (bytes.length < 8) a.fail(`IFLA_VLAN_QOS_MAPPING holds ${bytes.length} bytes, 8 wanted`);
    else mappings.push([u32At(bytes, 0), u32At(bytes, 4)]);
  }
  return mappings;
}
