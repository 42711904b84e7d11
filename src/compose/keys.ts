/** What one section of a Compose file may hold, and why netloom refuses what it refuses. */
export interface KeyTable {
  /** Done as the specification says. */
  readonly honoured: readonly string[];
  /** Accepted because ignoring them changes nothing that a person could notice here. */
  readonly noEffect: readonly string[];
  /** Known to the specification, not honoured: the reason, for the error. */
  readonly refused: Readonly<Record<string, string>>;
}

/** The names of compose-spec.json, so that no key falls between the tables. */
export const FILE_KEYS: KeyTable = {
  honoured: ['name', 'networks', 'services'],
  noEffect: ['version'],
  refused: {
    configs: 'netloom puts no files into containers: they see the host’s own',
    include: 'netloom reads no included projects; give the files with several -f instead',
    models: 'netloom runs no language models',
    secrets: 'netloom puts no files into containers: they see the host’s own',
    volumes: 'netloom mounts nothing: containers see the host’s own file system',
  },
};

export const NETWORK_KEYS: KeyTable = {
  honoured: ['driver', 'driver_opts', 'enable_ipv4', 'enable_ipv6', 'external', 'internal', 'ipam', 'labels', 'name'],
  // only Swarm asks whether a network is attachable; on one host every network is
  noEffect: ['attachable'],
  refused: {},
};
export const IPAM_KEYS: KeyTable = {
  honoured: ['config', 'driver'],
  noEffect: [],
  refused: { options: 'netloom’s address pools take no driver options' },
};
export const IPAM_CONFIG_KEYS: KeyTable = {
  honoured: ['aux_addresses', 'gateway', 'ip_range', 'subnet'],
  noEffect: [],
  refused: {},
};
export const EXTERNAL_KEYS: KeyTable = { honoured: ['name'], noEffect: [], refused: {} };

const NO_IMAGES = 'netloom runs no images: a service is a command of this host in a network namespace of its own';
const NO_MOUNTS = 'netloom mounts nothing: containers see the host’s own file system';
const NO_LIMITS = 'netloom sets no resource limits';
const NO_SANDBOX = 'netloom separates the network only, not privileges, processes or devices';
const NO_HOOKS = 'netloom runs no lifecycle hooks';

export const SERVICE_KEYS: KeyTable = {
  honoured: [
    'attach',
    'command',
    'container_name',
    'depends_on',
    'deploy',
    'dns',
    'dns_opt',
    'dns_search',
    'entrypoint',
    'env_file',
    'environment',
    'extra_hosts',
    'hostname',
    'labels',
    'mac_address',
    'network_mode',
    'networks',
    'ports',
    'profiles',
    'restart',
    'scale',
    'stop_grace_period',
    'stop_signal',
    'working_dir',
  ],
  // says only which ports exist; in a namespace every port of the service is open to its neighbours anyway
  noEffect: ['expose'],
  refused: {
    annotations: 'netloom hands containers to no runtime that would read annotations; use labels',
    blkio_config: NO_LIMITS,
    build: NO_IMAGES,
    cap_add: NO_SANDBOX,
    cap_drop: NO_SANDBOX,
    cgroup: NO_SANDBOX,
    cgroup_parent: NO_SANDBOX,
    configs: NO_MOUNTS,
    cpu_count: NO_LIMITS,
    cpu_percent: NO_LIMITS,
    cpu_period: NO_LIMITS,
    cpu_quota: NO_LIMITS,
    cpu_rt_period: NO_LIMITS,
    cpu_rt_runtime: NO_LIMITS,
    cpu_shares: NO_LIMITS,
    cpus: NO_LIMITS,
    cpuset: NO_LIMITS,
    credential_spec: 'credential specs belong to Windows',
    develop: 'netloom watches no source files',
    device_cgroup_rules: NO_SANDBOX,
    devices: NO_SANDBOX,
    domainname: 'netloom sets no NIS domain; put the domain into dns_search',
    driver_opts: NO_LIMITS,
    extends: 'netloom does not read services of other files; use an anchor (&name, *name, <<) or several -f',
    external_links: 'links are long gone from Docker too; join a network that both containers are on',
    gpus: NO_SANDBOX,
    group_add: NO_SANDBOX,
    healthcheck: 'netloom runs no health checks',
    image: NO_IMAGES,
    init: NO_SANDBOX,
    ipc: NO_SANDBOX,
    isolation: NO_SANDBOX,
    label_file: 'netloom reads no label files; write them under labels',
    links: 'links are long gone from Docker too; services of one network know each other by name',
    logging: 'netloom has one log, a file for each container',
    mem_limit: NO_LIMITS,
    mem_reservation: NO_LIMITS,
    mem_swappiness: NO_LIMITS,
    memswap_limit: NO_LIMITS,
    models: 'netloom runs no language models',
    oom_kill_disable: NO_LIMITS,
    oom_score_adj: NO_LIMITS,
    pid: NO_SANDBOX,
    pids_limit: NO_LIMITS,
    platform: NO_IMAGES,
    post_start: NO_HOOKS,
    pre_stop: NO_HOOKS,
    privileged: NO_SANDBOX,
    provider: 'netloom calls no service providers',
    pull_policy: NO_IMAGES,
    pull_refresh_after: NO_IMAGES,
    read_only: NO_MOUNTS,
    runtime: 'netloom starts commands itself, through no runtime',
    secrets: NO_MOUNTS,
    security_opt: NO_SANDBOX,
    shm_size: NO_MOUNTS,
    stdin_open: 'services have no standard input; use netloom run -it',
    storage_opt: NO_MOUNTS,
    sysctls: 'netloom sets no sysctls that a file asks for',
    tmpfs: NO_MOUNTS,
    tty: 'services have no terminal; use netloom run -it',
    ulimits: NO_LIMITS,
    use_api_socket: 'netloom hands its own socket to nobody',
    user: NO_SANDBOX,
    userns_mode: NO_SANDBOX,
    uts: NO_SANDBOX,
    volumes: NO_MOUNTS,
    volumes_from: NO_MOUNTS,
  },
};
export const SERVICE_NETWORK_KEYS: KeyTable = {
  honoured: ['aliases', 'gw_priority', 'interface_name', 'ipv4_address', 'ipv6_address', 'mac_address', 'priority'],
  noEffect: [],
  refused: {
    driver_opts: 'endpoints take no driver options; set them on the network',
    link_local_ips: 'the kernel chooses link-local addresses by itself',
  },
};
/** Of `x-netloom`, for what the specification has no words for. */
export const SERVICE_NETWORK_OWN_KEYS: KeyTable = {
  honoured: ['egress_rate', 'ingress_rate'],
  noEffect: [],
  refused: {},
};
export const PORT_KEYS: KeyTable = {
  honoured: ['host_ip', 'mode', 'protocol', 'published', 'target'],
  noEffect: ['app_protocol', 'name'],
  refused: {},
};
/** Of `x-netloom`, for what the specification has no words for. */
export const PORT_OWN_KEYS: KeyTable = { honoured: ['firewall'], noEffect: [], refused: {} };
export const DEPENDS_KEYS: KeyTable = { honoured: ['condition', 'required', 'restart'], noEffect: [], refused: {} };
export const ENV_FILE_KEYS: KeyTable = { honoured: ['format', 'path', 'required'], noEffect: [], refused: {} };
export const DEPLOY_KEYS: KeyTable = {
  honoured: ['mode', 'replicas'],
  noEffect: [],
  refused: {
    endpoint_mode: 'netloom has no virtual service addresses in Compose files',
    labels: 'there is no Swarm service to carry them; use the service’s own labels',
    placement: 'netloom starts services on this host only',
    resources: NO_LIMITS,
    restart_policy: 'netloom does not restart commands that end',
    rollback_config: 'netloom has no rolling updates',
    update_config: 'netloom has no rolling updates',
  },
};

/** Every name that a table knows. */
export function knownKeys(table: KeyTable): string[] {
  return [...table.honoured, ...table.noEffect, ...Object.keys(table.refused)];
}

/** The known name that `key` was probably meant to be: at most a third of its letters differ. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(key.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(key.toLowerCase().replaceAll('-', '_'), name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** How many letters to insert, delete, replace, or swap with the next one (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
