import type { EndpointRoute, EndpointTuning } from '../../model/index.ts';
import { UsageError } from '../errors.ts';

/** What of an endpoint can be set by flags of `endpoint attach`. */
export interface TuningFlags {
  readonly sysctl?: readonly (readonly [string, string])[];
  readonly route?: readonly EndpointRoute[];
  readonly sourceRoutes?: boolean;
}

/** `net.core.somaxconn=500` @throws UsageError */
export function parseSysctl(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`"${text}" is no parameter`, 'Write it as sysctl(8) does: net.core.somaxconn=500');
}

/** The words of ip-route(8) that are numbers, and what they are called in a route. */
const NUMBERS: Readonly<Record<string, 'mtu' | 'advmss' | 'priority' | 'table' | 'scope'>> = {
  mtu: 'mtu',
  advmss: 'advmss',
  metric: 'priority',
  table: 'table',
  scope: 'scope',
};

/** `192.0.2.0/24 via 10.0.0.9 mtu 1400 metric 5 table 100` @throws UsageError */
export function parseRoute(text: string): EndpointRoute {
  const [dst = '', ...words] = text.trim().split(/\s+/);
  const route: { dst: string; gateway?: string } & { [K in (typeof NUMBERS)[string]]?: number } = { dst };
  for (let at = 0; at < words.length; at += 2) {
    const [key = '', value = ''] = words.slice(at, at + 2);
    const number = Object.hasOwn(NUMBERS, key) ? NUMBERS[key] : undefined;
    if (key === 'via' && value !== '') route.gateway = value;
    else if (number !== undefined && /^\d{1,10}$/.test(value)) route[number] = Number(value);
    else throw new UsageError(`"${text}" is no route`, "Write it as ip(8) does: '192.0.2.0/24 via 10.0.0.9 mtu 1400'");
  }
  return route;
}

/** @returns undefined where nothing is asked for */
export function tuningOf({ sysctl = [], route = [], sourceRoutes }: TuningFlags): EndpointTuning | undefined {
  if (sysctl.length === 0 && route.length === 0 && sourceRoutes !== true) return undefined;
  return {
    ...(sysctl.length > 0 && { sysctls: Object.fromEntries(sysctl) }),
    ...(route.length > 0 && { routes: route }),
    ...(sourceRoutes && { sourceRoutes }),
  };
}
