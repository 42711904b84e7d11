import { existsSync } from 'node:fs';
import { Netns, netnsId, writeSysctl } from '../kernel/index.ts';
import { hasCode } from '../errors.ts';
import { type Link, Rtnl } from '../rtnetlink/index.ts';
import { ensureLines, lineOf, SWITCH } from './line.ts';
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
 * What the plan has no longer is removed. @returns the ports of cables that have a line
 * @throws NetloomError ELABDELAY
 */
export async function ensureWire(place: Place, plan: LabPlan): Promise<ReadonlySet<string>> {
  using netns = ensureNetns(place.netns(WIRE));
  writeSysctl(netns, 'net.ipv6.conf.default.disable_ipv6', 1);
  using rtnl = Rtnl.open(netns);
  const there = new Map((await rtnl.link.list()).map((link) => [link.name, link]));
  for (const { name, mtu } of plan.segments) {
    if (!there.has(name)) await rtnl.link.add({ name, mtu, info: SWITCH });
    await rtnl.link.set({ name }, { up: true, mtu });
  }
  const ports = plan.machines.flatMap(({ links }) => links.map(({ port }) => port));
  const lines = ports.map(lineOf);
  const bridges = new Set([...plan.segments.map(({ name }) => name), ...lines.map(({ bridge }) => bridge)]);
  const ends = new Set([...ports, ...lines.map(({ end }) => end)]);
  for (const { name, info } of there.values()) {
    if (info?.kind === 'bridge' ? bridges.has(name) : info?.kind !== 'veth' || ends.has(name)) continue;
    await removeLink(rtnl, name);
  }
  return await ensureLines(place, plan, rtnl);
}

/** A machine's namespace, its cables, addresses and routes, as planned; what is right stays as it is. */
export async function ensureMachine(place: Place, machine: Machine, lined: ReadonlySet<string>): Promise<void> {
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
  for (const link of machine.links)
    await ensureCable(machine, link, { netns, inside, outside, ports, lined: lined.has(link.port) });
  // behind all addresses: a gateway must be on a link
  for (const { dev, gateways } of machine.links) {
    const oif = gateways.length === 0 ? 0 : (await inside.link.get(dev)).index;
    for (const gateway of gateways)
      await inside.route.replace({ dst: gateway.includes(':') ? '::/0' : '0.0.0.0/0', gateway, oif });
  }
}

interface Ends {
  readonly netns: Netns;
  readonly inside: Rtnl;
  readonly outside: Rtnl;
  /** What is on the wire, by name. */
  readonly ports: ReadonlyMap<string, Link>;
  readonly lined: boolean;
}

async function ensureCable(
  machine: Machine,
  link: PlannedLink,
  { netns, inside, outside, ports, lined }: Ends,
): Promise<void> {
  const { dev, port, mac, mtu, segment } = link;
  const line = lineOf(port);
  const outer = lined ? line.end : port;
  const master = ports.get(lined ? line.bridge : segment)!.index;
  const end = await linkNamed(inside, dev);
  if (ports.has(outer) && end) {
    await outside.link.set({ name: outer }, { master, mtu });
    await inside.link.set({ name: dev }, { mtu });
  } else {
    // half of a pair is what somebody else has made of it
    if (ports.has(outer)) await removeLink(outside, outer);
    if (end) await removeLink(inside, dev);
    await outside.link.add({
      name: outer,
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
  const alias = `${machine.name} ${dev}`;
  await outside.link.set({ name: outer }, { up: true, alias });
  if (lined) {
    await outside.link.set({ name: line.tap }, { up: true, alias, mtu, master });
    await outside.link.set({ name: port }, { up: true, alias, mtu, master: ports.get(segment)!.index });
  }
  const { index } = await inside.link.get(dev);
  for (const address of link.addresses) await inside.address.replace({ index, address, flags: ['nodad'] });
  // a line has the delay
  const queue = lined ? { ...link, delay: 0 } : link;
  await shape(inside, index, queue);
  await shape(outside, (await outside.link.get(port)).index, queue);
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
