import type { Parameters } from './parameters.ts';

/** A label of a host name, in the letters that runtimes allow in theirs. */
const LABEL = /^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/;
/** What runtimes draw where nobody chose: nobody asks for it by name. */
const DRAWN = /^[0-9a-f]{12,}$/;

/**
 * What others on the network may call the workload: what the runtime says its name is, beside the aliases that it gives.
 * Kubernetes, CRI-O, containerd's CRI and Podman say a pod's name and namespace by `CNI_ARGS`; others choose names as ids of
 * containers.
 */
export function namesOf({ args, containerID }: Parameters, aliases: readonly string[]): string[] {
  const pod = args.get('K8S_POD_NAME') ?? '';
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  const own =
    pod === '' ? [containerID] : [pod, ...(namespace === '' || namespace === pod ? [] : [`${pod}.${namespace}`])];
  // the first is what the address is told as
  return [...new Set([...own.filter((name) => LABEL.test(name) && !DRAWN.test(name)), ...aliases])];
}
