import type { PortSpec, UnpublishSpec } from '../../model/index.ts';
import { NetloomError } from '../../errors.ts';
import { UsageError } from '../errors.ts';
import type { NetworkChoice } from './network.ts';

/** Parsers that need the address module: loaded when such a flag is there, so that no other verb pays for them. */
export async function publish(text: string): Promise<readonly PortSpec[]> {
  return await named('--publish', async () => (await import('./publish.ts')).parsePublish(text));
}
export async function unpublish(text: string): Promise<UnpublishSpec> {
  return await named('--unpublish', async () => (await import('./unpublish.ts')).parseUnpublish(text));
}
export async function network(text: string): Promise<NetworkChoice> {
  return (await import('./network.ts')).parseNetwork(text);
}
export async function host(text: string): Promise<string> {
  return await named('--add-host', async () => (await import('./env.ts')).parseHost(text));
}

/** stricli names the flag only where the parser fails at once; these fail later. */
async function named<T>(flag: string, parse: () => Promise<T>): Promise<T> {
  try {
    return await parse();
  } catch (error) {
    throw error instanceof NetloomError ? new UsageError(`${flag}: ${error.message}`, error.hint) : error;
  }
}
