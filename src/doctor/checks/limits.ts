import type { Check, Result, View } from '../check.ts';
import { file, sysctl } from '../read.ts';

/** Above this part of a limit there is a warning. */
const NEAR = 0.8;

interface Limit {
  readonly what: string;
  readonly used: number | undefined;
  readonly limit: number | undefined;
  /** What happens at the limit. */
  readonly effect: string;
  cure(more: number): string;
}

/** Tables of the kernel that fill up without a word. */
export const limits: Check = {
  name: 'limits',
  about: 'conntrack, neighbour tables, open files, inotify: how near to full',
  run(view) {
    const results = limitsOf(view).flatMap(({ what, used, limit, effect, cure }): Result[] => {
      if (used === undefined || limit === undefined || limit <= 0) return [];
      const evidence = [`${what}: ${used} of ${limit}`];
      if (used < limit * NEAR) return [{ status: 'ok', summary: `${what}: ${percent(used, limit)} full`, evidence }];
      const full = used >= limit;
      return [
        {
          status: full ? 'failure' : 'warning',
          summary: `${what}: ${full ? 'full' : `${percent(used, limit)} full`}; when it is full, ${effect}`,
          evidence,
          cure: [cure(2 ** Math.ceil(Math.log2(Math.max(used, limit) * 2)))],
        },
      ];
    });
    const worst = results.filter(({ status }) => status !== 'ok');
    if (worst.length > 0) return worst;
    return [
      {
        status: 'ok',
        summary: 'no table is near its limit',
        evidence: results.flatMap(({ evidence }) => evidence ?? []),
      },
    ];
  },
};

function limitsOf(view: View): Limit[] {
  const host = view.kernel.netns('');
  const number = (name: string): number | undefined => toNumber(sysctl(host, name));
  const families = [
    ['ipv4', 4],
    ['ipv6', 6],
  ] as const;
  const [files] = (file('/proc/sys/fs/file-nr') ?? '').split(/\s+/);
  const own = /^Max open files\s+(\d+)/m.exec(file('/proc/self/limits') ?? '')?.[1];
  return [
    {
      what: 'connection tracking',
      used: number('net.netfilter.nf_conntrack_count'),
      limit: number('net.netfilter.nf_conntrack_max'),
      effect: 'new connections are dropped',
      cure: (more) => `sysctl -w net.netfilter.nf_conntrack_max=${more}`,
    },
    ...families.map(([word, family]): Limit => ({
      what: `IPv${family} neighbours`,
      // every endpoint is a neighbour of its bridge
      used: view.endpoints.filter((e) => e.addresses.some((a) => a.includes(':') === (family === 6))).length,
      limit: number(`net.${word}.neigh.default.gc_thresh3`),
      effect: 'packets to addresses that are not known yet are dropped',
      cure: (more) => `sysctl -w net.${word}.neigh.default.gc_thresh3=${more}`,
    })),
    {
      what: 'open files of the machine',
      used: toNumber(files),
      limit: toNumber(file('/proc/sys/fs/file-max')),
      effect: 'no program can open a file or a connection',
      cure: (more) => `sysctl -w fs.file-max=${more}`,
    },
    {
      what: 'open files of this process',
      // a namespace and a socket at most for what is being changed, and a few for everything else
      used: 64 + view.networks.length * 4,
      limit: toNumber(own),
      effect: 'networks cannot be changed and names are not answered',
      cure: (more) => `LimitNOFILE=${more} in the unit of the daemon`,
    },
    {
      what: 'inotify instances for one user',
      used: 2,
      limit: number('fs.inotify.max_user_instances') ?? toNumber(file('/proc/sys/fs/inotify/max_user_instances')),
      effect: 'changes of files are noticed late',
      cure: (more) => `sysctl -w fs.inotify.max_user_instances=${more}`,
    },
  ];
}

function toNumber(text: string | undefined): number | undefined {
  const value = Number(text);
  return text === undefined || text === '' || !Number.isFinite(value) ? undefined : value;
}
function percent(used: number, limit: number): string {
  return `${Math.round((used / limit) * 100)} %`;
}
