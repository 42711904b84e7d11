import type { DoctorReport, Finding } from '../model/index.ts';
import { NetloomError } from '../errors.ts';
import type { Check, View } from './check.ts';
import { checksums } from './checks/checksums.ts';
import { clock } from './checks/clock.ts';
import { drift } from './checks/drift.ts';
import { features } from './checks/features.ts';
import { firewalls } from './checks/firewalls.ts';
import { forwarding } from './checks/forwarding.ts';
import { leftovers } from './checks/leftovers.ts';
import { limits } from './checks/limits.ts';
import { mtu } from './checks/mtu.ts';
import { overlaps } from './checks/overlaps.ts';
import { resolvers } from './checks/resolvers.ts';
import { upstreamDns } from './checks/upstream-dns.ts';

export type { Check, Result, View } from './check.ts';

/** Every check there is, in the order in which they are told: what breaks most first. */
export const CHECKS: readonly Check[] = [
  features,
  forwarding,
  firewalls,
  drift,
  mtu,
  overlaps,
  resolvers,
  upstreamDns,
  limits,
  checksums,
  clock,
  leftovers,
];

/**
 * Runs checks, all of them where none is named. One that fails itself is reported as unknown, with its reason.
 * @throws NetloomError EBADCHECK
 */
export async function examine(view: View, names: readonly string[]): Promise<DoctorReport['findings']> {
  const findings: Finding[] = [];
  for (const check of chosen(names)) {
    try {
      for (const result of await check.run(view))
        findings.push({ check: check.name, evidence: [], cure: [], object: '', ...result });
    } catch (error) {
      const summary = `this could not be looked at: ${error instanceof Error ? error.message : String(error)}`;
      findings.push({ check: check.name, status: 'unknown', summary, evidence: [], cure: [], object: '' });
    }
  }
  return findings;
}

function chosen(names: readonly string[]): readonly Check[] {
  for (const name of names) {
    if (CHECKS.some((check) => check.name === name)) continue;
    throw new NetloomError('EBADCHECK', `there is no check "${name}"`, {
      hint: `there are: ${CHECKS.map((check) => check.name).join(', ')}`,
    });
  }
  return names.length === 0 ? CHECKS : CHECKS.filter((check) => names.includes(check.name));
}
