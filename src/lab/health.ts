import { get } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '../api/client.ts';
import { Netns, tcpSocketIn } from '../kernel/index.ts';
import { withoutLength } from '../addr/index.ts';
import { CLIENT_PORT, type Machine } from './plan.ts';
import type { Place } from './place.ts';

/** Whether the service of a machine answers: its daemon a question, etcd one that its cluster must agree on. */
export async function answers(place: Place, machine: Machine): Promise<boolean> {
  if (machine.service === undefined) return true;
  return machine.kind === 'etcd' ? await etcdAnswers(place, machine) : await daemonAnswers(place, machine);
}

async function daemonAnswers(place: Place, machine: Machine): Promise<boolean> {
  const found = await Client.connect(place.socket(machine.name)).catch(() => undefined);
  if (!found) return false;
  await using client = found;
  return await client.version().then(
    () => true,
    () => false,
  );
}

/** @see https://etcd.io/docs/v3.4/op-guide/monitoring/ "Health check": a linearizable read */
async function etcdAnswers(place: Place, machine: Machine): Promise<boolean> {
  const address = withoutLength(machine.links[0]!.addresses[0]!);
  const v6 = address.includes(':');
  using netns = Netns.open(place.netns(machine.name));
  const fd = tcpSocketIn(netns, v6 ? 6 : 4);
  const socket = new Socket({ fd: fd.release() });
  const signal = AbortSignal.timeout(PATIENCE);
  try {
    socket.connect(CLIENT_PORT, address);
    return await new Promise<boolean>((resolve, reject) => {
      const host = v6 ? `[${address}]` : address;
      const request = get(
        { host, port: CLIENT_PORT, path: '/health', createConnection: () => socket, signal },
        (answer) => {
          resolve(answer.statusCode === 200);
          answer.resume();
        },
      );
      request.once('error', reject);
    });
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
/** Milliseconds for one question. */
const PATIENCE = 1000;

/** Waits until it answers. @returns false where `gone` says that it never will, or after `limit` milliseconds */
export async function comesToAnswer(
  place: Place,
  machine: Machine,
  gone: () => boolean,
  limit: number,
): Promise<boolean> {
  const end = performance.now() + limit;
  for (let pause = 10; ; pause = Math.min(pause * 1.5, 100)) {
    if (await answers(place, machine)) return true;
    if (gone() || performance.now() > end) return false;
    await delay(pause);
  }
}
