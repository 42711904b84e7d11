import type { KernelView } from '../facts/index.ts';
import type { ContainerDetail, Endpoint, Finding, Network, Occupied } from '../model/index.ts';
import type { Address, Link, Route } from '../rtnetlink/index.ts';

/** What a check may look at. Everything is read once, before the first check. */
export interface View {
  /** The host's namespace is the empty path. */
  readonly kernel: KernelView;
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly containers: readonly ContainerDetail[];
  /** What of the host's address space is somebody else's, by every routing table. */
  readonly used: readonly Occupied[];
  /** Which program listens at a UDP port of an address, or of all: `dnsmasq (pid 812)`; empty where nobody is seen. */
  readonly holderOf: (address: string, port: number) => string;
  /** Where `ip netns` keeps its names. */
  readonly netnsDir: string;
  /** What a collection would do now, a line each; by what it would do. */
  readonly drift: () => Promise<{ readonly surplus: readonly string[]; readonly wrong: readonly string[] }>;
}

/** What a check says; the name of the check and what is left out are added. */
export type Result = Pick<Finding, 'status' | 'summary'> & Partial<Pick<Finding, 'evidence' | 'cure' | 'object'>>;

/** One question to the host. It changes nothing, and takes a few seconds at most. */
export interface Check {
  readonly name: string;
  /** For the list of checks, a line. */
  readonly about: string;
  run(view: View): Promise<readonly Result[]> | readonly Result[];
}

/** The value of a sysctl of the host; undefined where this kernel has none of that name. */
export type SysctlReader = (name: string) => string | undefined;
