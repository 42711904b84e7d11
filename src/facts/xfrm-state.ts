import { NetloomError } from '../errors.ts';
import { bootId } from '../kernel/index.ts';
import { claimUse, dropClaim, type EspDirection, espKeyOf, keyBytes } from '../keys/index.ts';
import { parseState, spiText, stateAdd, stateDelete, stateDump, stateGet, type XfrmStateSpec } from '../xfrm/index.ts';
import { ipIn, placeOf } from './command.ts';
import { XFRM_REQID } from './ours.ts';
import type { FactBase, FactKind, KernelView, NetlinkStep } from './types.ts';

/**
 * One direction of an ESP tunnel between two hosts: AES-256-GCM, 64-bit sequence numbers. Ours by its reqid. Its key is
 * derived at the moment that the kernel is told, and is in no fact, plan or error. A key serves one state, once: two
 * that count from 0 with the same key would send two packets under one nonce. @see ip-xfrm(8), docs/adr/0007-keys.md
 */
export interface XfrmStateFact extends FactBase {
  readonly kind: 'xfrm-state';
  /** Outer addresses. */
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  /** Id of the interface whose packets it carries. */
  readonly ifId: number;
  /** This host is the one that sends. */
  readonly sends: boolean;
  /** What its key is derived of; empty in one that was read. */
  readonly direction: EspDirection;
  /** Path of this host's private key. */
  readonly keyFile: string;
}

/** With a check value of 128 bits. @see RFC 4106 */
const AEAD = { name: 'rfc4106(gcm(aes))', icvBits: 128 } as const;
/** Packets that may come late: many queues of one card deliver out of order. */
const REPLAY_WINDOW = 1024;
/** linux/in.h */
const IPPROTO_ESP = 50;

export const xfrmStateKind: FactKind<XfrmStateFact> = {
  key: ({ ns, src, dst, spi }) => `xfrm-state ${ns} ${src} ${dst} ${spiText(spi)}`,
  add: additionStep,
  // its key was used
  change: () => undefined,
  delete: (fact) => ({ via: 'xfrm', ns: fact.ns, needs: [], requests: () => [stateDelete(fact)] }),
  async read(kernel, ns) {
    const states = (await kernel.xfrm(ns).execute(stateDump())).map(parseState);
    return states
      .filter(({ reqid, proto, mode }) => reqid === XFRM_REQID && proto === IPPROTO_ESP && mode === 'tunnel')
      .map(({ src, dst, spi, ifId }) => {
        return {
          kind: 'xfrm-state',
          ns,
          object: '',
          src,
          dst,
          spi,
          ifId,
          sends: false,
          direction: NOBODY,
          keyFile: '',
        };
      });
  },
  // that a state has the SPI says that it has the key: both are made of the same
  differences: (want, have) => (want.ifId === have.ifId ? [] : ['if_id']),
  describe: ({ ns, src, dst, spi }) => `the IPsec state ${src} → ${dst} spi ${spiText(spi)}${placeOf(ns)}`,
  command({ ns, src, dst, spi, ifId }, verb) {
    const id = `src ${src} dst ${dst} proto esp spi ${spiText(spi)}`;
    if (verb === 'delete') return `${ipIn(ns)} xfrm state delete ${id}`;
    // the key is no word of a plan: whoever types this has it in a variable
    const key = `"$ESP_KEY_${spi.toString(16).padStart(8, '0')}"`;
    const how = `reqid ${XFRM_REQID} mode tunnel replay-window ${REPLAY_WINDOW} flag esn af-unspec`;
    return `${ipIn(ns)} xfrm state add ${id} ${how} aead '${AEAD.name}' ${key} ${AEAD.icvBits} if_id ${spiText(ifId)}`;
  },
  within: (fact) => (fact.ns === '' ? [] : [`netns ${fact.ns}`]),
};

const NOBODY: EspDirection = {
  network: '',
  from: { publicKey: '', epoch: '' },
  to: { publicKey: '', epoch: '' },
};

function additionStep(fact: XfrmStateFact): NetlinkStep {
  const { ns, src, dst, spi, ifId, sends, direction, keyFile } = fact;
  const own = sends ? direction.from : direction.to;
  let spec: XfrmStateSpec | undefined;
  let claimed = false;
  return {
    via: 'xfrm',
    ns,
    needs: [],
    async prepare(kernel) {
      const key = espKeyOf(direction, sends, keyFile);
      spec = { src, dst, spi, ifId, reqid: XFRM_REQID, replayWindow: REPLAY_WINDOW, aead: { ...AEAD, key } };
      claimed = claimUse(keyFile, own.epoch, claimOf(fact), bootId());
      if (claimed || (await isThere(kernel, fact))) return;
      throw new NetloomError('EKEYUSED', `${xfrmStateKind.describe(fact)} had its key before, which serves once`, {
        hint: 'the node takes a new epoch, as when it starts',
      });
    },
    requests: () => (spec ? [stateAdd(spec)] : []),
    refused() {
      if (claimed) dropClaim(keyFile, own.epoch, claimOf(fact));
    },
  };
}

/** Names a key among those of one epoch of this host's, in letters for a file. */
function claimOf({ sends, spi, direction }: XfrmStateFact): string {
  const other = keyBytes((sends ? direction.to : direction.from).publicKey).toString('hex');
  return `${sends ? 'out' : 'in'}-${spi.toString(16).padStart(8, '0')}-${other.slice(0, 16)}`;
}

async function isThere(kernel: KernelView, fact: XfrmStateFact): Promise<boolean> {
  const [reply] = await kernel.xfrm(fact.ns).batch([stateGet(fact)], { lane: 'here' });
  return reply?.error === undefined;
}
