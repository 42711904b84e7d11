import type { NlMessage } from '../netlink/index.ts';
import { parseXfrmEvent, spiText, XFRMNLGRP } from '../xfrm/index.ts';
import type { WantedIndex } from './wanted-index.ts';

/** Who tells of states and policies that go. */
export const XFRM_GROUPS: readonly number[] = [XFRMNLGRP.EXPIRE, XFRMNLGRP.SA, XFRMNLGRP.POLICY];

const STATES = 'xfrm-state  ';
const POLICIES = 'xfrm-policy  ';

/** Something that happened to a wanted fact. */
export interface XfrmTouched {
  readonly key: string;
  /** What the kernel said. */
  readonly what: string;
  /** Port of whoever asked for it; 0: the kernel itself. */
  readonly pid: number;
}

/**
 * Which wanted states and policies may have gone or changed. What is new is not looked at: nothing that is there can be
 * replaced by it.
 */
export function touchedByXfrm(messages: readonly NlMessage[], index: Pick<WantedIndex, 'keysUnder'>): XfrmTouched[] {
  /** By where to and by which SPI; the kernel tells no more of a state that goes. */
  const gone = new Map<string, Omit<XfrmTouched, 'key'>>();
  let [states, policies]: (Omit<XfrmTouched, 'key'> | undefined)[] = [];
  for (const message of messages) {
    const event = parseXfrmEvent(message);
    const { pid } = message;
    if (event?.kind === 'state' && event.verb === 'delete')
      gone.set(endOf(event.id), { what: 'xfrm state deleted', pid });
    else if (event?.kind === 'expire' && event.hard) gone.set(endOf(event.state), { what: 'xfrm state expired', pid });
    else if (event?.kind === 'policy' && event.verb !== 'new') policies ??= { what: `xfrm policy ${event.verb}`, pid };
    else if (event?.kind === 'flush' && event.of === 'states') states ??= { what: 'xfrm states flushed', pid };
    else if (event?.kind === 'flush') policies ??= { what: 'xfrm policies flushed', pid };
  }
  const touched: XfrmTouched[] = [];
  if (policies) for (const key of index.keysUnder(POLICIES)) touched.push({ key, ...policies });
  if (!states && gone.size === 0) return touched;
  for (const key of index.keysUnder(STATES)) {
    const why = states ?? gone.get(key.slice(key.indexOf(' ', STATES.length)));
    if (why) touched.push({ key, ...why });
  }
  return touched;
}

/** The end of a state's key. */
function endOf({ dst, spi }: { readonly dst: string; readonly spi: number }): string {
  return ` ${dst} ${spiText(spi)}`;
}
