import type { NlAttrs, NlWriter } from '../../netlink/index.ts';

/** How one kind of link is written into IFLA_INFO_DATA and read from it. One file a kind; the table is in kinds/index.ts. */
export interface KindCodec<T> {
  /** IFLA_INFO_DATA's content; a kind without data leaves it out. */
  readonly write?: (w: NlWriter, info: T) => void;
  /** Has something to write where no setting is given, too. */
  readonly always?: boolean;
  /** What IFLA_INFO_DATA says. `attrs` is empty where the kernel sent none. */
  read(attrs: NlAttrs): T;
}
