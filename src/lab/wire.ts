import { existsSync } from 'node:fs';
import { Netns, netnsId, writeSysctl } from '../kernel/index.ts';
import { hasCode } from '../errors.ts';
import { type Link, Rtnl } from '../rtnetlink/index.ts';
import type { LabPlan, Machine, PlannedLink } from './plan.ts';
import { type Place, WIRE } from './place.ts';
import { shape } from './shape.ts';

/** The namespace of that name, made where there is none; a name that leads nowhere (a crash half way) is made anew. */
export function ensureNetns(path: string): Netns {
  if (netnsId(path) !== '') return Netns.open(path);
  if (existsSync(path)) Netns.unpin(path);
  const netns = Netns.create();
  try {
    netns.pin(path);
    return netns;
  } catch (error) {
    netns.close();
    throw error;
  }
}

/**
 * The wire: one bridge a segment, in a namespace of the lab's own that says nothing by itself on any of them.
 * What the plan has no longer is removed.
 */
export async function ensureWire(place: Place, plan: LabPlan): Promise<void> {
  using netns = ensureNetns(place.netns(WIRE));
  writeSysctl(netns, 'net.ipv6.conf.default.disable_ipv6', 1);
  using rtnl = Rtnl.open(netns);
  const there = new Map((await rtnl.link.list()).map((link) => [link.name, link]));
  for (const { name, mtu } of plan.segments) {
    if (!there.has(name)) {
      // no delay: STP is off, so that a port forwards at once; no snooping: a switch that learns nothing but MACs
      await rtnl.link.add({ name, mtu, info: { kind: 'bridge', forwardDelay: 0, multicastSnooping: false } });
    }
    await rtnl.link.set({ name }, { up: true, mtu });
  }
  const segments = new Set(plan.segments.map(({ name }) => name));
  const ports = new Set(plan.machines.flatMap(({ links }) => links.map(({ port }) => port)));
  for (const { name, info } of there.values()) {
    if (info?.kind === 'bridge' ? segments.has(name) : info?.kind !== 'veth' || ports.has(name)) continue;
    await removeLink(rtnl, name);
  }
}

/** A machine's namespace, its cables, addresses and routes, as planned; what is right stays as it is. */
export async function ensureMachine(place: Place, machine: Machine): Promise<void> {
  using netns = ensureNetns(place.netns(machine.name));
  using wire = Netns.open(place.netns(WIRE));
  using inside = Rtnl.open(netns);
  using outside = Rtnl.open(wire);
  if (machine.kind === 'router') {
    writeSysctl(netns, 'net.ipv4.ip_forward', 1);
    writeSysctl(netns, 'net.ipv6.conf.all.forwarding', 1);
  }
  await inside.link.set({ name: 'lo' }, { up: true });
  const ports = new Map((await outside.link.list()).map((link) => [link.name, link]));
  for (const link of machine.links) await ensureCable(machine, link, netns, inside, outside, ports);
  // behind all addresses: a gateway must be on a link
  for (const { dev, gateways } of machine.links) {
    const oif = gateways.length === 0 ? 0 : (await inside.link.get(dev)).index;
    for (const gateway of gateways)
      await inside.route.replace({ dst: gateway.includes(':') ? '::/0' : '0.0.0.0/0', gateway, oif });
  }
}

async function ensureCable(
  machine: Machine,
  link: PlannedLink,
  netns: Netns,
  inside: Rtnl,
  outside: Rtnl,
  ports: ReadonlyMap<string, Link>,
): Promise<void> {
  const { dev, port, mac, mtu, segment } = link;
  const master = ports.get(segment)!.index;
  const end = await linkNamed(inside, dev);
  if (ports.has(port) && end) {
    await outside.link.set({ name: port }, { master, mtu });
    await inside.link.set({ name: dev }, { mtu });
  } else {
    // half of a pair is what somebody else has made of it
    if (ports.has(port)) await removeLink(outside, port);
    if (end) await removeLink(inside, dev);
    await outside.link.add({
      name: port,
      mtu,
      master,
      info: { kind: 'veth', peer: { name: dev, mac, mtu, netns: netns.fd } },
    });
  }
  // addresses are all settled here: no time is spent on duplicates, and nobody is asked for more of them
  for (const [key, value] of [
    ['accept_dad', 0],
    ['accept_ra', 0],
  ] as const)
    writeSysctl(netns, `net.ipv6.conf.${dev}.${key}`, value);
  await inside.link.set({ name: dev }, { up: true });
  await outside.link.set({ name: port }, { up: true, alias: `${machine.name} ${dev}` });
  const { index } = await inside.link.get(dev);
  for (const address of link.addresses) await inside.address.replace({ index, address, flags: ['nodad'] });
  await shape(inside, index, link);
  await shape(outside, (await outside.link.get(port)).index, link);
}

/** It may go by itself meanwhile: the kernel takes a machine's namespace down some time after its last holder. */
async function removeLink(rtnl: Rtnl, name: string): Promise<void> {
  try {
    await rtnl.link.delete({ name });
  } catch (error) {
    if (!hasCode(error, 'ENODEV')) throw error;
  }
}

async function linkNamed(rtnl: Rtnl, name: string): Promise<Link | undefined> {
  try {
    return await rtnl.link.get(name);
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return undefined;
    throw error;
  }
}
