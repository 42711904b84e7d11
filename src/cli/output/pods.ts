import type { ContainerDetail } from '../../model/index.ts';
import { containerRow, type Look, type View } from './views.ts';

/** @param all every container there is */
export function podRow(pod: ContainerDetail, all: readonly ContainerDetail[], look: Look): View {
  const { ID, CreatedAt, RunningFor, Ports, Networks, Labels } = containerRow(pod, look);
  const members = all.filter(({ mode }) => mode.kind === 'container' && mode.container === pod.id);
  const running = members.filter(({ state }) => state.status === 'running').length;
  return {
    ID,
    Name: pod.name,
    Status: status(pod, members.length, running),
    Containers: members.map(({ name }) => name).join(', '),
    Running: running,
    ...{ CreatedAt, RunningFor, Ports, Networks, Labels },
  };
}

/** `Ready`, `2 of 3 running`, `Stopped`. */
function status(pod: ContainerDetail, members: number, running: number): string {
  if (pod.mode.kind === 'networks' && pod.endpoints.length === 0) return 'Stopped';
  return members === 0 ? 'Ready' : `${running} of ${members} running`;
}
