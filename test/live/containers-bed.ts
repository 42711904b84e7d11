import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { SpawnPlan } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import type { HostOptions } from '../lib/host.ts';
import { namesIn, snapshot } from '../lib/snapshot.ts';

/** A bed whose containers tell a process of their own when they end, as the real shim's exit command does. */
export interface ContainerBed extends EngineBed {
  /** The engine that tells the shim whom to call; `engine` tells nobody. */
  readonly telling: Engine;
  /** For another process: `openEngine` options with `netnsPath` in place of `netns`. */
  readonly options: string;
}

export async function makeContainerBed(hostOptions: HostOptions = {}): Promise<ContainerBed> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed(hostOptions));
  const options = JSON.stringify({ ...bed.paths, netnsPath: `/proc/${process.pid}/fd/${bed.host.netns.fd}` });
  const exited = fileURLToPath(new URL('containers-exited.ts', import.meta.url));
  const telling = undo.use(await bed.open({ exitCommand: [process.execPath, '--no-warnings', exited, options] }));
  // a test that failed may have left commands running
  undo.defer(async () => {
    for (const { id } of await bed.engine.containerList({ all: true }))
      await bed.engine.containerRemove(id, { force: true });
  });
  const kept = undo.move();
  return { ...bed, telling, options, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Everything that a container's end must leave as it found it. */
export async function traces(bed: EngineBed): Promise<unknown> {
  return {
    host: await snapshot(bed.host.netns),
    netns: namesIn(bed.paths.netnsDir),
    etc: namesIn(bed.paths.etcNetnsDir),
    directories: namesIn(join(bed.paths.runDir, 'containers')),
    locks: namesIn(join(bed.paths.runDir, 'locks')),
    endpoints: (await bed.engine.endpointList()).map((e) => e.id),
    containers: (await bed.engine.containerList({ all: true })).map((c) => c.name),
  };
}

/** Runs a plan as a door does: status and output. */
export async function runPlan(
  plan: SpawnPlan,
  input = '',
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(plan.file, [...plan.args], {
    env: { ...plan.env },
    cwd: plan.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** Runs a command beside a running container's; its output. */
export async function execIn(engine: Engine, ref: string, command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runPlan(await engine.containerExecPlan(ref, command));
  if (status !== 0) throw new Error(`${command.join(' ')} in ${ref}: status ${status}: ${stderr.trim()}`);
  return stdout;
}

export async function logOf(
  engine: Engine,
  ref: string,
  options: { readonly follow?: boolean; readonly tail?: number } = {},
): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of engine.containerLogs(ref, options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A container's hosts or resolv.conf, as `ip netns exec` would show it. */
export function etcOf(bed: EngineBed, name: string, file: 'hosts' | 'resolv.conf'): string {
  return readFileSync(join(bed.paths.etcNetnsDir, name, file), 'utf8');
}

export function namespaceOf(bed: EngineBed, name: string): Netns {
  return Netns.open(join(bed.paths.netnsDir, name));
}

export const plain = (address: string | undefined): string => (address ?? '').replace(/\/.*/, '');
