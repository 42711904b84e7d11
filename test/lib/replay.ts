import assert from 'node:assert/strict';
import { Netns } from '../../src/kernel/index.ts';
import type { Outcome, PlanStep } from '../../src/model/index.ts';
import type { EngineBed } from './engine.ts';
import { type HostOptions, makeHost, type TestHost } from './host.ts';
import { openShell, type Shell } from './shell.ts';
import { type LinkJson, namesIn, wholeOf } from './snapshot.ts';

/** A second machine, made like a bed's, on which every explained change is done by its commands. */
export interface Replay extends AsyncDisposable {
  readonly host: TestHost;
  readonly shell: Shell;
  /** A namespace under the same path on both machines. */
  workload(name: string): Promise<{ readonly netns: Netns; readonly path: string }>;
  /**
   * Runs the commands of a change that the bed's engine has made, and compares the machines: links, hardware
   * addresses, addresses, routes, parameters and rule sets of the host and of every namespace that has a name.
   */
  follow<T>(what: string, outcome: Promise<Outcome<T>>, options?: FollowOptions): Promise<T>;
}

export interface FollowOptions {
  /** `nft` runs once for all of its commands that stand together: for what another test follows one by one. */
  readonly atOnce?: boolean;
}

export async function makeReplay(bed: EngineBed, options: HostOptions = {}): Promise<Replay> {
  await using undo = new AsyncDisposableStack();
  const host = undo.use(await makeHost(options));
  const { netnsDir } = bed.paths;
  const shell = undo.use(await openShell(host.netns, [netnsDir]));
  const kept = undo.move();
  return {
    host,
    shell,
    async workload(name) {
      const workload = await bed.workload(name);
      await shell.ok(
        `touch ${workload.path}; unshare --net=${workload.path} true; nsenter --net=${workload.path} ip link set lo up`,
      );
      return workload;
    },
    async follow(what, outcome, { atOnce = false } = {}) {
      const { value, plan } = await outcome;
      await shell.ok(atOnce ? nftAtOnce(scriptOf(plan)) : scriptOf(plan));
      const names = await shell.ok(`ls ${netnsDir}`);
      assert.deepEqual(names.split('\n').filter(Boolean), namesIn(netnsDir), `${what}: namespaces`);
      await same(`${what}: host`, host.netns, bed.host.netns, (link) => link.linkinfo?.info_kind === 'bridge');
      for (const name of namesIn(netnsDir)) {
        const path = `${netnsDir}/${name}`;
        using ours = Netns.open(path);
        using theirs = shell.open(path);
        await same(`${what}: ${name}`, theirs, ours, () => true);
      }
      return value;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A plan as a script for `sh -e`. @throws when there is no plan, or an empty one */
export function scriptOf(plan: readonly PlanStep[] | undefined): string {
  assert.ok(plan && plan.length > 0, 'the change has a plan');
  return plan.map((step) => step.command).join('\n') + '\n';
}

/** The shell reads the words of each command as ever, and `nft` gets them as it would put them together itself. */
function nftAtOnce(script: string): string {
  return script.replaceAll(
    /(?:^nft [^|$\n]*\n)+/gm,
    (lines) => `{ nft() { printf '%s\\n' "$*"; }\n${lines}} | nft -f -\n`,
  );
}

/** A plan without what chance decides: ids, and the names and addresses made of them. */
export function withoutIds(plan: readonly PlanStep[] | undefined): PlanStep[] {
  const known = new Map<string, string>();
  const name = (id: string): string => {
    const key = id.slice(0, 10); // an interface's name has less of it than an alias, a hardware address less still
    if (!known.has(key)) known.set(key, `ID${known.size + 1}`);
    return known.get(key) ?? '';
  };
  return (plan ?? []).map((step) => ({
    ...step,
    object: step.object.replaceAll(/[0-9a-f]{11,64}/g, name),
    command: step.command
      .replaceAll(/[0-9a-f]{11,64}/g, name)
      .replaceAll(
        /\b02:((?:[0-9a-f]{2}:){4}[0-9a-f]{2})\b/g,
        (mac: string, rest: string) => known.get(rest.replaceAll(':', '')) ?? mac,
      ),
  }));
}

async function same(what: string, byHand: Netns, ours: Netns, macOf: (link: LinkJson) => boolean): Promise<void> {
  assert.deepEqual(await wholeOf(byHand, { macOf }), await wholeOf(ours, { macOf }), what);
}
