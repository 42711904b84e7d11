import type { ContainerDetail } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import type { ListFlags } from '../flags.ts';
import { changeOptions, printList, printOutcome } from '../output/print.ts';
import { podRow } from '../output/pods.ts';
import type { Look, View } from '../output/views.ts';
import { containerSpec, type RunFlags } from './run.ts';
import { change, networkNames, withApi } from './session.ts';

export type PodFlags = Omit<RunFlags, 'name' | 'pod' | 'detach' | 'rm' | 'interactive' | 'tty' | 'env' | 'envFile'>;

export async function create(this: CliContext, flags: PodFlags, name?: string): Promise<void> {
  const spec = { ...containerSpec({ ...flags, ...(name !== undefined && { name }) }, [], this.io.env), pod: true };
  const outcome = await change(this, flags, `creating pod ${name ?? ''}`, (api) =>
    api.containerCreate(spec, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, [outcome.value.id]);
}

const COLUMNS = [
  { title: 'POD ID', cell: (row: View) => String(row['ID']) },
  { title: 'NAME', cell: (row: View) => String(row['Name']), flexible: true },
  { title: 'STATUS', cell: (row: View) => String(row['Status']) },
  { title: 'CONTAINERS', cell: (row: View) => String(row['Containers']), flexible: true },
  { title: 'NETWORKS', cell: (row: View) => String(row['Networks']), flexible: true },
  { title: 'PORTS', cell: (row: View) => String(row['Ports']), flexible: true },
];

export async function ls(this: CliContext, flags: ListFlags): Promise<void> {
  await withApi(this, flags, async (api) => {
    const all = await api.containerList({ all: true });
    const look: Look = { noTrunc: flags.noTrunc ?? false, now: this.io.now(), networkNames: await networkNames(api) };
    printList<ContainerDetail>(this, flags, {
      records: all.filter(({ pod }) => pod),
      id: (pod) => pod.id,
      row: (pod) => podRow(pod, all, look),
      columns: COLUMNS,
    });
  });
}
