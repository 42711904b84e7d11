import type { FlagParametersForType } from '@stricli/core';
import type { CliContext } from './context.ts';
import { list, parsed, text } from './flags.ts';
import type { EndpointWords } from './parse/network.ts';
import { parseRate } from './parse/rate.ts';
import { parseWhole } from './parse/words.ts';

/** Limits of traffic, in every verb that makes or changes an endpoint. Bits per second. */
export interface RateFlags {
  readonly ingressRate?: number;
  readonly egressRate?: number;
}
/** @param otherwise what holds where the flag is left out */
export function rateFlags(otherwise: 'none' | 'as it is'): FlagParametersForType<RateFlags, CliContext> {
  return {
    ingressRate: parsed('RATE', parseRate, `Limit of what it receives (default: ${otherwise})`),
    egressRate: parsed('RATE', parseRate, `Limit of what it sends (default: ${otherwise})`),
  };
}

/** What can be said of one endpoint, in every verb that makes one. */
export interface EndpointFlags extends RateFlags {
  readonly ip?: string;
  readonly ip6?: string;
  readonly alias?: readonly string[];
  readonly macAddress?: string;
  readonly gwPriority?: number;
  readonly ifname?: string;
}
export const ENDPOINT_FLAGS: FlagParametersForType<EndpointFlags, CliContext> = {
  ip: text('ADDRESS', 'IPv4 address (default: the next free one)'),
  ip6: text('ADDRESS', 'IPv6 address (default: the next free one)'),
  alias: list('NAME', 'Another name for it on this network', String),
  macAddress: text('MAC', 'Hardware address (default: made from the address)'),
  gwPriority: parsed('NUMBER', parseWhole, 'The network with the highest number has the default route (default: 0)'),
  ifname: text('NAME', 'Name of the interface inside (default: the first free ethN)'),
  ...rateFlags('none'),
};

/** The flags in the words that the long form of `--network` has too. */
export function endpointWords(flags: EndpointFlags): EndpointWords {
  return {
    ip: flags.ip,
    ip6: flags.ip6,
    mac: flags.macAddress,
    aliases: flags.alias,
    priority: flags.gwPriority,
    ifname: flags.ifname,
    ingressRate: flags.ingressRate,
    egressRate: flags.egressRate,
  };
}
