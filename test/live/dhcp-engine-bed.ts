/** Engines beside a DHCP server of their LAN. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HELD, type Held } from '../../src/engine/dhcp-lease.ts';
import type { Engine } from '../../src/engine/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import type { AttachSpec, EngineEvent, NetworkSpec } from '../../src/model/index.ts';
import { openEmbeddedStore } from '../../src/store/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { bare, LAN, makeSegment, type Segment } from '../lib/lan.ts';
import { ping } from '../lib/peer.ts';
import { type Background, ipBatch, jsonIn, okIn, startIn } from '../lib/run.ts';
import { linksOf } from '../lib/snapshot.ts';
import { until, type WaitOptions } from '../lib/wait.ts';

export const WAIT: WaitOptions = { timeout: 30_000 };

export interface Server extends AsyncDisposable {
  readonly log: () => string;
  /** Addresses that are leased, by its own file. */
  leased(): string[];
}

export interface Site extends AsyncDisposable {
  readonly bed: EngineBed;
  readonly segment: Segment;
  /** Starts dnsmasq on the segment; it remembers its leases from one start to the next. */
  serve(...options: string[]): Promise<Server>;
}

export async function makeSite(): Promise<Site> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed());
  const segment = undo.use(await makeSegment(bed.host.netns));
  const file = join(bed.dirs.root, 'leases');
  const kept = undo.move();
  return {
    bed,
    segment,
    async serve(...options) {
      const server: Background = startIn(segment.peer, [
        ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=', '--group='],
        ...['--interface=eth0', '--bind-interfaces', '--except-interface=lo', '--no-ping', '--log-facility=-'],
        ...['--log-dhcp', '--pid-file=', `--dhcp-leasefile=${file}`, '--dhcp-authoritative', ...options],
      ]);
      await until('dnsmasq serves', () => {
        if (server.child.exitCode !== null) throw new Error(server.output());
        return /DHCP, IP range/.test(server.output());
      });
      return {
        log: server.output,
        leased: () =>
          (existsSync(file) ? readFileSync(file, 'utf8') : '')
            .split('\n')
            .flatMap((line) => line.split(' ')[2] ?? [])
            .toSorted(),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export const RANGE: string = '--dhcp-range=198.18.0.100,198.18.0.150,255.255.255.0';
export const ROUTER: string = `--dhcp-option=3,${LAN.peer}`;

/** What happens in an engine, from now on. */
export function listen(engine: Engine): { readonly seen: EngineEvent[] } & AsyncDisposable {
  const seen: EngineEvent[] = [];
  const stop = new AbortController();
  const loop = (async () => {
    for await (const event of engine.events({ types: ['dhcp'] }, stop.signal)) seen.push(event);
  })();
  return {
    seen,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop;
    },
  };
}

export async function addressesIn(netns: Netns, ifname = 'eth0'): Promise<string[]> {
  const found = await jsonIn<{ addr_info: { family: string; local: string; prefixlen: number }[] }[]>(netns, [
    ...['ip', '-j', '-4', 'addr', 'show', 'dev', ifname],
  ]);
  return found.flatMap(({ addr_info }) => (addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`));
}
export async function routesIn(netns: Netns): Promise<string[]> {
  return (await okIn(netns, ['ip', '-4', 'route'])).split('\n').map((line) => line.trim().replace(/ proto.*/, ''));
}

/** The lease's times as if so many milliseconds had gone by: what a daemon that begins finds in the store. */
export async function age(bed: EngineBed, ms: number): Promise<void> {
  await using store = await openEmbeddedStore(bed.paths);
  await store.transact(async (tx) => {
    for (const { key, value } of await tx.list<Held>(HELD)) {
      const { lease } = value;
      const [renewAt, rebindAt, expiresAt] = [lease.renewAt - ms, lease.rebindAt - ms, lease.expiresAt - ms];
      await tx.put(key, { ...value, lease: { ...lease, renewAt, rebindAt, expiresAt } });
    }
  });
}

/** What was leased, as the store has it. */
export async function heldOf(bed: EngineBed): Promise<Held[]> {
  await using store = await openEmbeddedStore(bed.paths);
  return (await store.read((tx) => tx.list<Held>(HELD))).map(({ value }) => value);
}

/** A daemon in a process of its own, that can be killed. @param spec what it begins to attach */
export async function startDaemon(bed: EngineBed, spec?: AttachSpec): Promise<Background> {
  const child = fileURLToPath(new URL('dhcp-engine-child.ts', import.meta.url));
  const options = JSON.stringify({ ...bed.paths, netnsPath: `/proc/${process.pid}/fd/${bed.host.netns.fd}` });
  const asked = spec === undefined ? [] : [JSON.stringify(spec)];
  const daemon = startIn(bed.host.netns, [process.execPath, '--no-warnings', child, options, ...asked]);
  await until('the daemon is ready', () => /^ready/m.test(daemon.output()), WAIT);
  return daemon;
}

/** Six endpoints of one network, attached together: each has an address, reaches the router, and gives its lease back. */
export async function severalAtOnce(spec: Omit<NetworkSpec, 'name'>): Promise<void> {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},1h`, ROUTER);
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate({ ...spec, name: 'lan', ipam: 'dhcp' });
  if (spec.driver === 'bridge') {
    // what a person does: the interface that leads to the LAN becomes a port
    await ipBatch(bed.host.netns, ['addr flush dev lan0', 'link set lan0 master brlan']);
  }
  const workloads = await Promise.all(Array.from({ length: 6 }, (_, i) => bed.workload(`w${i}`)));
  const outcomes = await Promise.all(
    workloads.map(({ path }) => engine.endpointAttach({ network: 'lan', netns: path })),
  );
  const addresses = outcomes.flatMap(({ value }) => bare(value.addresses));
  assert.equal(new Set(addresses).size, workloads.length, addresses.join());
  for (const [i, { netns }] of workloads.entries()) {
    assert.deepEqual(await addressesIn(netns), outcomes[i]!.value.addresses);
    assert.ok((await routesIn(netns)).includes('default via 198.18.0.2 dev eth0'));
    assert.ok(await ping(netns, LAN.peer), `${addresses[i]} reaches the router`);
  }
  assert.deepEqual(server.leased(), addresses.toSorted());
  for (const { value } of outcomes) await engine.endpointDetach(value.id);
  await until('all are given back', () => server.leased().length === 0, WAIT);
  for (const { netns } of workloads)
    assert.deepEqual(
      (await linksOf(netns)).map((l) => l.ifname),
      ['lo'],
    );
  await engine.networkRemove('lan');
}
