import { release } from 'node:os';
import { parsePrefix } from '../addr/index.ts';
import { DROP_PREFIX } from '../guard/index.ts';
import type { Sample } from '../metrics/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import { VERSION } from '../version.ts';
import { CONFINED } from '../nat/index.ts';
import type { Core } from './core.ts';
import { stateOf } from './process.ts';
import { KEYS } from './records.ts';

/** Everything counted so far, and the state of things now. @see EngineApi.metrics */
export async function exposition(core: Core): Promise<string> {
  const { PrometheusMeter } = await import('../metrics/prometheus.ts');
  const meter = core.meter instanceof PrometheusMeter ? core.meter : new PrometheusMeter();
  return await meter.exposition(async (sample) => {
    const labels = { version: VERSION, node: process.versions.node, kernel: release() };
    sample.gauge('netloom_build_info', labels, 1);
    await objects(core, sample);
    await drops(core, sample);
    const { rtnetlink, nftables } = core.kernel.waiting;
    sample.gauge('netloom_kernel_calls_waiting', { family: 'rtnetlink' }, rtnetlink);
    sample.gauge('netloom_kernel_calls_waiting', { family: 'nftables' }, nftables);
    sample.gauge('netloom_links_dying', {}, core.reaper.waiting);
    sample.gauge('netloom_event_listeners', {}, core.events.listeners);
    await core.services?.sample(sample);
  });
}

async function drops(core: Core, sample: Sample): Promise<void> {
  using kernel = core.kernel.scope();
  for (const [chain, { packets, bytes }] of await core.drops.read(kernel.nft(''))) {
    if (chain === CONFINED) sample.total('netloom_confined_connections_total', {}, Number(packets));
    if (!chain.startsWith(DROP_PREFIX)) continue;
    const reason = chain.slice(DROP_PREFIX.length);
    sample.total('netloom_dropped_packets_total', { reason }, Number(packets));
    sample.total('netloom_dropped_bytes_total', { reason }, Number(bytes));
  }
}

async function objects(core: Core, sample: Sample): Promise<void> {
  const { networks, endpoints, containers } = await core.store.read(async (tx) => ({
    networks: (await tx.list<Network>(KEYS.networks)).map(({ value }) => value),
    endpoints: (await tx.list<Endpoint>(KEYS.endpoints)).map(({ value }) => value),
    containers: (await tx.list<Container>(KEYS.containers)).map(({ value }) => value),
  }));
  for (const [driver, count] of tally(networks.map((n) => n.driver)))
    sample.gauge('netloom_networks', { driver }, count);
  for (const [status, count] of tally(containers.map((c) => stateOf(core.paths, c).status)))
    sample.gauge('netloom_containers', { status }, count);
  const ports = new Map<string, number>();
  for (const { protocol, count } of endpoints.flatMap((e) => e.ports))
    ports.set(protocol, (ports.get(protocol) ?? 0) + count);
  for (const [protocol, count] of ports) sample.gauge('netloom_published_ports', { protocol }, count);
  for (const { id, name, subnets } of networks) {
    const own = endpoints.filter((e) => e.network === id);
    sample.gauge('netloom_endpoints', { network: name }, own.length);
    const addresses = own.flatMap((e) => e.addresses);
    for (const { subnet } of subnets) {
      const { family, length } = parsePrefix(subnet);
      const labels = { network: name, family: `ipv${family}` };
      const leased = addresses.filter((address) => parsePrefix(address).family === family).length;
      sample.gauge('netloom_leases', labels, leased);
      sample.gauge('netloom_pool_addresses', labels, 2 ** ((family === 4 ? 32 : 128) - length));
    }
  }
}

function tally(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
