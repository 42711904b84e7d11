import { NetloomError } from '../../errors.ts';
import type { EndpointUpdate, PortSpec, UnpublishSpec } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import type { RateFlags } from '../endpoint-flags.ts';
import { UsageError } from '../errors.ts';
import type { ChangeFlags } from '../flags.ts';
import { portLine, portLines } from '../output/ports.ts';
import { changeOptions, printOutcome } from '../output/print.ts';
import { parsePublish } from '../parse/publish.ts';
import { parseUnpublish } from '../parse/unpublish.ts';
import { change, changeEach } from './session.ts';

export interface PortFlags extends ChangeFlags {
  readonly network?: string;
}

export async function publish(this: CliContext, flags: PortFlags, ref: string, ...ports: string[]): Promise<void> {
  const specs = read(ports, parsePublish).flat();
  const outcome = await change(this, flags, `publishing ports of ${ref}`, (api) =>
    api.containerUpdate(ref, { publish: specs, ...onNetwork(flags) }, changeOptions(flags)),
  );
  const lines = portLines(outcome.value.ports, (port, protocol) => specs.some((spec) => covers(spec, port, protocol)));
  printOutcome(this, flags, outcome, lines.map(portLine));
}

/** What is wrong with an argument is wrong with the command line. */
function read<T>(words: readonly string[], parse: (word: string) => T): T[] {
  try {
    return words.map(parse);
  } catch (error) {
    throw error instanceof NetloomError ? new UsageError(error.message, error.hint) : error;
  }
}

function covers(spec: PortSpec, port: number, protocol: PortSpec['protocol']): boolean {
  return spec.protocol === protocol && port >= spec.containerPort && port < spec.containerPort + spec.count;
}

export async function unpublish(this: CliContext, flags: PortFlags, ref: string, ...ports: string[]): Promise<void> {
  const specs = read(ports, parseUnpublish);
  const outcome = await change(this, flags, `taking ports of ${ref} back`, (api) =>
    api.containerUpdate(ref, { unpublish: specs, ...onNetwork(flags) }, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, []);
}

export interface UpdateFlags extends ChangeFlags, RateFlags {
  readonly network?: string;
}

export async function update(this: CliContext, flags: UpdateFlags, ...refs: string[]): Promise<void> {
  const wanted = endpointUpdate(flags);
  await changeEach(this, flags, refs, 'changing', (api, ref) =>
    api.containerUpdate(ref, { ...wanted, ...onNetwork(flags) }, changeOptions(flags)),
  );
}

/** @throws UsageError when the flags ask for nothing */
export function endpointUpdate(
  flags: RateFlags & {
    readonly publish?: readonly (readonly PortSpec[])[];
    readonly unpublish?: readonly UnpublishSpec[];
  },
): EndpointUpdate {
  const wanted = {
    ...(flags.publish === undefined ? {} : { publish: flags.publish.flat() }),
    ...(flags.unpublish === undefined ? {} : { unpublish: flags.unpublish }),
    ...(flags.ingressRate === undefined ? {} : { ingressRate: flags.ingressRate }),
    ...(flags.egressRate === undefined ? {} : { egressRate: flags.egressRate }),
  };
  if (Object.keys(wanted).length === 0)
    throw new UsageError('nothing to change', 'Say what: --ingress-rate 10mbit, for example.');
  return wanted;
}

function onNetwork(flags: { readonly network?: string }): { network?: string } {
  return flags.network === undefined ? {} : { network: flags.network };
}
