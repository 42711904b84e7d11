import {
  parsePolicy,
  policyAdd,
  policyDelete,
  policyDump,
  policyUpdate,
  spiText,
  type XfrmDir,
  type XfrmPolicySpec,
} from '../xfrm/index.ts';
import { ipIn, placeOf } from './command.ts';
import { XFRM_REQID } from './ours.ts';
import type { FactBase, FactKind, NetlinkStep } from './types.ts';

/**
 * Which packets of an interface of kind xfrm go through which tunnel, or must have come by it. Ours by its template's
 * reqid. @see ip-xfrm(8)
 */
export interface XfrmPolicyFact extends FactBase {
  readonly kind: 'xfrm-policy';
  /** `out`: what is sent; `in`: what is for this host; `fwd`: what goes on to others. */
  readonly dir: XfrmDir;
  /** Prefixes of inner packets, canonical. */
  readonly src: string;
  readonly dst: string;
  readonly ifId: number;
  /** Outer addresses of the tunnel. */
  readonly tunnel: { readonly src: string; readonly dst: string };
}

/** Lower is asked first; within one interface nobody else has any. */
const PRIORITY = 28268;

export const xfrmPolicyKind: FactKind<XfrmPolicyFact> = {
  key: ({ ns, dir, src, dst, ifId }) => `xfrm-policy ${ns} ${dir} ${src} ${dst} ${spiText(ifId)}`,
  add: (fact) => stepOf(fact, () => policyAdd(specOf(fact))),
  change: (want) => stepOf(want, () => policyUpdate(specOf(want))),
  delete: (fact) => stepOf(fact, () => policyDelete(fact)),
  async read(kernel, ns) {
    const policies = (await kernel.xfrm(ns).execute(policyDump())).map(parsePolicy);
    return policies.flatMap((policy): XfrmPolicyFact[] => {
      const [tmpl] = policy?.tmpls ?? [];
      if (!policy || tmpl?.reqid !== XFRM_REQID || policy.action !== 'allow') return [];
      const { dir, src, dst, ifId } = policy;
      return [{ kind: 'xfrm-policy', ns, object: '', dir, src, dst, ifId, tunnel: { src: tmpl.src, dst: tmpl.dst } }];
    });
  },
  differences: ({ tunnel: want }, { tunnel: have }) => (want.src === have.src && want.dst === have.dst ? [] : ['tmpl']),
  describe: ({ ns, dir, src, dst }) => `the IPsec policy ${dir} ${src} → ${dst}${placeOf(ns)}`,
  command({ ns, dir, src, dst, ifId, tunnel }, verb) {
    const policy = `${ipIn(ns)} xfrm policy`;
    const id = `src ${src} dst ${dst} dir ${dir}`;
    if (verb === 'delete') return `${policy} delete ${id} if_id ${spiText(ifId)}`;
    const tmpl = `tmpl src ${tunnel.src} dst ${tunnel.dst} proto esp reqid ${XFRM_REQID} mode tunnel`;
    return `${policy} ${verb === 'add' ? 'add' : 'update'} ${id} priority ${PRIORITY} ${tmpl} if_id ${spiText(ifId)}`;
  },
  within: (fact) => (fact.ns === '' ? [] : [`netns ${fact.ns}`]),
};

function stepOf({ ns }: XfrmPolicyFact, request: () => ReturnType<typeof policyAdd>): NetlinkStep {
  return { via: 'xfrm', ns, needs: [], requests: () => [request()] };
}

function specOf({ dir, src, dst, ifId, tunnel }: XfrmPolicyFact): XfrmPolicySpec {
  return { dir, src, dst, ifId, priority: PRIORITY, tmpl: { ...tunnel, reqid: XFRM_REQID } };
}
