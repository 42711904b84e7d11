import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SharedNetwork } from '../cluster/index.ts';
import {
  drawEpoch,
  ensureKeyFile,
  forgetKeys,
  generatePrivateKey,
  keepKey,
  nextKeyFile,
  publicKeyOf,
} from '../keys/index.ts';
import type { Overlay } from '../model/index.ts';
import { backendOf } from '../overlay/index.ts';
import type { Core } from './core.ts';

type Self = Overlay['self'];
type Place = Pick<Core, 'paths' | 'now'>;

/** This host's keys in one network. */
export interface HostKeys {
  /** What others are told. */
  readonly told: Pick<Self, 'publicKey' | 'epochs' | 'rekeyed'>;
  /** What it keeps for itself. */
  readonly own: Pick<Self, 'keyFile' | 'coming'>;
}

/** Seconds: as often as keys are changed where nobody said, by backends whose protocol does not do it. */
const USUAL_INTERVAL = 24 * 3600;

/** What hosts need to know each other by there; also where only the former backend does. */
export function keyedBy(of: Pick<SharedNetwork | Overlay, 'backend' | 'former'>): 'pair' | 'epochs' | undefined {
  const found = [of.backend, ...(of.former ? [of.former.backend] : [])].map((name) => backendOf(name).keyed);
  return found.includes('epochs') ? 'epochs' : found.find((keyed) => keyed !== undefined);
}

/** Seconds between changes of keys; 0: never. */
export function intervalOf({ backend, rekey }: SharedNetwork): number {
  const { keyed } = backendOf(backend);
  return keyed === undefined ? 0 : (rekey ?? (keyed === 'epochs' ? USUAL_INTERVAL : 0));
}

/**
 * Those that the host has already, and what is missing drawn anew.
 * @param had its part of the network, where it has one
 * @param dry nothing is written: what would be drawn has a key that nobody has
 */
export function keysFor(core: Place, network: SharedNetwork, had: Self | undefined, dry = false): HostKeys {
  const keyed = keyedBy(network);
  if (keyed === undefined) return { told: {}, own: {} };
  const now = core.now().toISOString();
  const kept = had?.keyFile !== undefined && had.publicKey !== undefined && existsSync(had.keyFile) ? had : undefined;
  const pair = kept ? { keyFile: kept.keyFile ?? '', publicKey: kept.publicKey ?? '' } : newPair(core, network.id, dry);
  const rekeyed = kept?.rekeyed ?? now;
  if (keyed === 'pair') return { told: { publicKey: pair.publicKey, rekeyed }, own: { keyFile: pair.keyFile } };
  const { coming } = kept?.epochs ? kept : {};
  return {
    told: {
      publicKey: pair.publicKey,
      epochs: kept?.epochs ?? [drawEpoch()],
      rekeyed: kept?.epochs ? rekeyed : now,
    },
    own: { keyFile: pair.keyFile, ...(coming !== undefined && { coming }) },
  };
}

/** A key pair that the host never had. */
export function newPair(
  core: Place,
  network: string,
  dry = false,
): { readonly keyFile: string; readonly publicKey: string } {
  const keyFile = nextKeyFile(directoryOf(core, network));
  return { keyFile, publicKey: dry ? publicKeyOf(generatePrivateKey()) : ensureKeyFile(keyFile) };
}

/** What the host's part of a network does not need any more, goes: others were told of what it has now. */
export function forgetOldKeys(core: Pick<Core, 'paths'>, network: string, { keyFile, epochs }: Self): void {
  if (keyFile === undefined) forgetNetworkKeys(core, network);
  else keepKey(keyFile, epochs);
}

/** The host has no part of the network any more. */
export function forgetNetworkKeys(core: Pick<Core, 'paths'>, network: string): void {
  forgetKeys(directoryOf(core, network));
}

/** In the host's own state directory, which private keys never leave. */
function directoryOf({ paths }: Pick<Core, 'paths'>, network: string): string {
  return join(paths.stateDir, 'keys', network);
}
