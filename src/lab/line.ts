import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, NetloomError } from '../errors.ts';
import { builtProgram, shimArgs, signalPid, waitPid } from '../kernel/index.ts';
import { type Link, netemReplace, rootDelete, type Rtnl } from '../rtnetlink/index.ts';
import { type Place, WIRE } from './place.ts';
import type { LabPlan, PlannedLink } from './plan.ts';
import { lastLine, runShim, serviceOf } from './process.ts';

/**
 * What a cable that takes its time has on the wire besides its port, on a kernel without netem. Instead of being the port,
 * the outer end of the machine's veth is on a bridge of its own with a TAP device; another TAP device is the port. A
 * process of the wire's (native/line.c) carries frames from the one to the other.
 */
export interface Line {
  readonly end: string;
  readonly bridge: string;
  readonly tap: string;
}
export function lineOf(port: string): Line {
  const named = (sign: string): string => port.replace('.', sign);
  return { end: named('~'), bridge: named('='), tap: named('+') };
}

/**
 * Has a line carry what crosses cables with a delay, as far as the kernel cannot delay it by itself: their TAP devices are
 * there then, to be plugged in; those of others are gone. What is on its way across a cable that has a line already stays so.
 * @returns the ports of cables that have one
 * @throws NetloomError ELABDELAY where there are no TAP devices either, ELABSTART
 */
export async function ensureLines(place: Place, plan: LabPlan, wire: Rtnl): Promise<ReadonlySet<string>> {
  const links = plan.machines.flatMap((machine) => machine.links);
  const slow = links.filter((link) => link.delay > 0);
  const lined = slow.length > 0 && !(await hasNetem(wire)) ? slow : [];
  const ports = new Set(lined.map(({ port }) => port));
  const there = new Map((await wire.link.list()).map((link) => [link.name, link]));
  for (const { port } of lined) {
    const link = there.get(port);
    if (link?.info?.kind === 'veth') await rename(wire, link, lineOf(port).end);
  }
  await carry(place, lined);
  for (const { port } of links) {
    const { end, bridge } = lineOf(port);
    if (ports.has(port)) {
      if (!there.has(bridge)) await wire.link.add({ name: bridge, info: SWITCH });
      await wire.link.set({ name: bridge }, { up: true });
    } else {
      if (there.has(bridge)) await wire.link.delete({ name: bridge });
      const link = there.get(end);
      if (link) await rename(wire, link, port);
    }
  }
  return ports;
}

/** No delay: STP is off, so that a port forwards at once; no snooping: a switch that learns nothing but MACs. */
export const SWITCH = { kind: 'bridge', forwardDelay: 0, multicastSnooping: false } as const;

/** Older kernels rename only what is down; whoever holds the other end sees its cable pulled out and put in again. */
async function rename(rtnl: Rtnl, { index }: Link, name: string): Promise<void> {
  await rtnl.link.set({ index }, { up: false });
  await rtnl.link.set({ index }, { name });
}

async function hasNetem(rtnl: Rtnl): Promise<boolean> {
  const { index } = await rtnl.link.get('lo');
  try {
    await rtnl.conn.execute(netemReplace(index, 1, { delay: 0, rate: 0 }));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EOPNOTSUPP')) return false;
    throw error;
  }
  await rtnl.conn.execute(rootDelete(index));
  return true;
}

/** Has the process carry between these and no others, and returns when it does; without any there is none. */
async function carry(place: Place, links: readonly PlannedLink[]): Promise<void> {
  const dir = place.of(WIRE, 'service');
  const wanted = `${dir}/wanted`;
  const running = serviceOf(place, WIRE);
  if (links.length === 0) {
    if (running && signalPid(running.pid, running.startTime, 'SIGKILL')) await waitPid(running.pid);
    rmSync(dir, { recursive: true, force: true });
    return;
  }
  mkdirSync(dir, { recursive: true });
  const lines = links.map(
    ({ port, delay: ms }) => `${Math.max(1, Math.round(ms * 1e6))} ${lineOf(port).tap} ${port}\n`,
  );
  writeFileSync(`${wanted}.new`, lines.join(''));
  renameSync(`${wanted}.new`, wanted);
  if (!running || !signalPid(running.pid, running.startTime, 'SIGHUP')) {
    const [netns, log] = [place.netns(WIRE), `${dir}/log`];
    for (const name of ['pid', 'exit']) rmSync(`${dir}/${name}`, { force: true });
    await runShim(shimArgs({ dir, netns, detach: true, log, command: [builtProgram('netloom-line'), dir] }), WIRE);
  }
  const end = performance.now() + PATIENCE;
  while (existsSync(wanted)) {
    const gone = !serviceOf(place, WIRE);
    if (gone || performance.now() > end) throw lineError(gone ? lastLine(place, WIRE) : 'the line does not answer');
    await delay(2);
  }
}
/** Milliseconds. */
const PATIENCE = 10_000;

function lineError(why: string): NetloomError {
  return new NetloomError('ELABDELAY', `cables cannot be given a delay: the running kernel has no netem, and ${why}`, {
    hint: 'Load sch_netem (CONFIG_NET_SCH_NETEM) or tun (CONFIG_TUN), or leave delay out.',
  });
}
