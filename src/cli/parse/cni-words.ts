import type { PortSpec } from '../../model/index.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';

/** Which configurations, plugins and results a verb works with. */
export interface PlaceFlags extends GlobalFlags {
  readonly confDir?: string;
  readonly pluginDir?: readonly string[];
  readonly cacheDir?: string;
  readonly timeout?: number;
}
/** What one attachment is. */
export interface AttachmentFlags extends PlaceFlags {
  readonly ifname?: string;
  readonly containerId?: string;
  readonly args?: readonly (readonly [string, string])[];
  readonly capability?: readonly Capabilities[];
  readonly publish?: readonly (readonly PortSpec[])[];
  readonly ip?: readonly string[];
  readonly mac?: string;
}
export type Capabilities = Readonly<Record<string, unknown>>;

/** `--args K=V`. @throws UsageError */
export function parseArg(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1 || text.includes(';'))
    throw new UsageError(`${JSON.stringify(text)} is no argument`, 'Write KEY=VALUE, without ";".');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `--capability NAME=JSON`, or a JSON object of several. @throws UsageError */
export function capability(text: string, what = '--capability'): Capabilities {
  const [, name, value = text] = /^([A-Za-z][\w.-]*)=(.*)$/s.exec(text) ?? [];
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch (error) {
    throw new UsageError(`${what}: ${(error as Error).message}`, `Write bandwidth='{"ingressRate": 1000000}'.`);
  }
  if (name !== undefined) return { [name]: json };
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Capabilities;
  throw new UsageError(`${what}: an object of capabilities is wanted`, `Write bandwidth='{"ingressRate": 1000000}'.`);
}

/** `--keep CONTAINERID:IFNAME`. @throws UsageError */
export function parseKept(text: string): { readonly containerID: string; readonly ifname: string } {
  const [containerID = '', ifname = '', ...more] = text.split(':');
  if (containerID === '' || ifname === '' || more.length > 0)
    throw new UsageError(`${JSON.stringify(text)} is no attachment`, 'Write CONTAINERID:INTERFACE.');
  return { containerID, ifname };
}
