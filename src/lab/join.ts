import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { NetloomError } from '../errors.ts';
import type { LabPlan, Machine } from './plan.ts';
import type { Place } from './place.ts';
import { execPlan, type Program } from './process.ts';

/** Makes a host's daemon a node of the cluster on the lab's etcd, once. @throws NetloomError ELABSTART */
export async function joinHost(
  place: Place,
  plan: LabPlan,
  machine: Machine,
  program: Program,
  onStep: (text: string) => void,
): Promise<void> {
  const joined = place.of(machine.name, 'joined');
  if (existsSync(joined)) return;
  const [node = process.execPath, ...flags] = program.node;
  const words = ['node', 'join', '--name', machine.name, ...plan.etcd.flatMap((url) => ['--etcd', url])];
  const { file, args, env } = execPlan(place, plan, machine, [node, ...flags, program.main, ...words], { cwd: '/' });
  const child = spawn(file, args, { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0)
    throw new NetloomError('ELABSTART', `${machine.name} cannot join: ${said.trim() || `status ${code}`}`);
  writeFileSync(joined, '');
  onStep(`${machine.name} has joined`);
}
