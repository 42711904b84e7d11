import type { ContainerSpec, PortSpec, SpawnPlan } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import type { ChangeFlags, GlobalFlags } from '../flags.ts';
import { hasCode } from '../../errors.ts';
import { comment, renderPlan } from '../output/plan.ts';
import { changeOptions, outcomeDocument, printJson, printLine, printWarnings, wantsPlan } from '../output/print.ts';
import { environment } from '../parse/env.ts';
import { chooseNetworks, pairs } from '../parse/network.ts';
import type { NetworkChoice } from '../parse/network.ts';
import { foreground } from '../foreground.ts';
import { change, withApi } from './session.ts';

export interface RunFlags extends ChangeFlags {
  readonly name?: string;
  readonly network?: readonly NetworkChoice[];
  readonly pod?: string;
  readonly networkAlias?: readonly string[];
  readonly ip?: string;
  readonly ip6?: string;
  readonly macAddress?: string;
  readonly ingressRate?: number;
  readonly egressRate?: number;
  readonly publish?: readonly (readonly PortSpec[])[];
  readonly expose?: readonly string[];
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOption?: readonly string[];
  readonly hostname?: string;
  readonly addHost?: readonly string[];
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly workdir?: string;
  readonly label?: readonly string[];
}

export async function run(this: CliContext, flags: RunFlags, ...command: string[]): Promise<void> {
  const spec = containerSpec(flags, command, this.io.env);
  const name = spec.name ?? 'the container';
  if (flags.detach === true || flags.dryRun === true) {
    await change(this, flags, `starting ${name}`, async (api) => {
      const outcome = await api.containerCreate(spec, changeOptions(flags));
      const { id } = outcome.value;
      const value =
        flags.dryRun === true
          ? outcome.value
          : await started(
              async () => (await api.containerStart(id)).value,
              () => api.containerRemove(id, { force: true }),
            );
      printWarnings(this, outcome);
      if (flags.json === true) printJson(this, outcomeDocument(flags, { ...outcome, value }));
      else {
        if (wantsPlan(flags)) this.io.stdout.write(renderPlan(outcome.plan));
        if (flags.dryRun !== true) printLine(this, wantsPlan(flags) ? `# ${comment(id)}` : id);
      }
    });
    return;
  }
  // The engine is closed again while the command runs: it may run for days.
  const { id, plan } = await change(this, flags, `creating ${name}`, async (api) => {
    const outcome = await api.containerCreate(spec, changeOptions(flags));
    if (wantsPlan(flags)) this.io.stderr.write(renderPlan(outcome.plan));
    printWarnings(this, outcome);
    const { id } = outcome.value;
    return {
      id,
      plan: await started(
        () => api.containerSpawnPlan(id, { foreground: true }),
        () => api.containerRemove(id, { force: true }),
      ),
    };
  });
  let status: number;
  try {
    status = await foreground(plan, {
      stdin: flags.interactive === true || flags.tty === true,
      terminal: this.io.stdinIsTTY,
    });
  } catch (error) {
    await withApi(this, flags, (api) => api.containerExited(id)).catch(() => undefined);
    throw error;
  }
  // The shim calls `_exited` only for a command that began.
  const never = status === EXIT.netloom || status === EXIT.cannotRun || status === EXIT.notFound;
  if (flags.rm === true) await removed(this, flags, id);
  else if (never) await withApi(this, flags, (api) => api.containerExited(id));
  this.process.exitCode = status;
}

/** A container whose command never began leaves nothing behind. */
async function started<T>(begin: () => Promise<T>, undo: () => Promise<unknown>): Promise<T> {
  try {
    return await begin();
  } catch (error) {
    await undo().catch(() => undefined);
    throw error;
  }
}

/** The shim has removed it already unless it was killed; then it is done here. */
async function removed(context: CliContext, flags: GlobalFlags, id: string): Promise<void> {
  await withApi(context, flags, async (api) => {
    const left = (await api.containerList({ all: true })).some((container) => container.id === id);
    if (left) await api.containerExited(id);
  }).catch((error: unknown) => {
    // Between the two calls the shim may have been faster.
    if (!hasCode(error, 'ECONTAINERNOTFOUND')) throw error;
  });
}

/** @throws UsageError */
export function containerSpec(
  flags: RunFlags,
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ContainerSpec {
  const { ip, ip6, macAddress: mac, networkAlias: aliases, ingressRate, egressRate } = flags;
  const first = { ip, ip6, mac, aliases, ingressRate, egressRate };
  const variables = environment(flags.env, flags.envFile, env);
  const dns = {
    ...(flags.dns === undefined ? {} : { servers: flags.dns }),
    ...(flags.dnsSearch === undefined ? {} : { search: flags.dnsSearch }),
    ...(flags.dnsOption === undefined ? {} : { options: flags.dnsOption }),
  };
  return {
    command,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(Object.keys(variables).length > 0 ? { env: variables } : {}),
    ...(flags.workdir === undefined ? {} : { workingDir: flags.workdir }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...chooseNetworks([...(flags.network ?? []), ...inPod(flags)], first),
    ...(flags.publish === undefined ? {} : { ports: flags.publish.flat() }),
    ...(Object.keys(dns).length > 0 ? { dns } : {}),
    ...(flags.addHost === undefined ? {} : { extraHosts: flags.addHost }),
    ...(flags.label === undefined ? {} : { labels: pairs(flags.label, '--label', { bare: true }) }),
    ...(flags.rm === true ? { autoRemove: true } : {}),
  };
}

/** @throws UsageError */
function inPod({ pod, network = [] }: RunFlags): NetworkChoice[] {
  if (pod === undefined) return [];
  if (network.length > 0) throw new UsageError('--pod and --network exclude each other', 'The pod has its networks.');
  return [{ mode: `container:${pod}` }];
}

export interface ExecFlags extends GlobalFlags {
  readonly detach?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly workdir?: string;
}

export async function exec(this: CliContext, flags: ExecFlags, ref: string, ...command: string[]): Promise<void> {
  const found = await withApi(this, flags, (api) => api.containerExecPlan(ref, command));
  const extra = environment(flags.env, flags.envFile, this.io.env);
  const plan = inDirectory({ ...found, env: { ...found.env, ...extra } }, flags.workdir);
  this.process.exitCode = await foreground(plan, {
    stdin: flags.interactive === true || flags.tty === true,
    terminal: this.io.stdinIsTTY,
    detach: flags.detach ?? false,
  });
}

/** The shim changes to its own --cwd once it is inside; a plan without one is started in the directory. */
function inDirectory(plan: SpawnPlan, workdir: string | undefined): SpawnPlan {
  if (workdir === undefined) return plan;
  const end = plan.args.indexOf('--');
  const at = plan.args.indexOf('--cwd');
  if (at < 0 || at > end) return { ...plan, cwd: workdir };
  return { ...plan, args: plan.args.with(at + 1, workdir) };
}
