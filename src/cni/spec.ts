/**
 * What the CNI specification says, as types.
 * @see https://github.com/containernetworking/cni/blob/spec-v1.1.0/SPEC.md
 */

/** Versions of the specification that are spoken, oldest first. */
export const SPEC_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type SpecVersion = (typeof SPEC_VERSIONS)[number];
export const LATEST: SpecVersion = '1.1.0';

/** Whether `text` is a version that is spoken. */
export function isSpecVersion(text: unknown): text is SpecVersion {
  return (SPEC_VERSIONS as readonly unknown[]).includes(text);
}

/** Whether `version` is `other` or came after it. */
export function since(version: SpecVersion, other: SpecVersion): boolean {
  return SPEC_VERSIONS.indexOf(version) >= SPEC_VERSIONS.indexOf(other);
}

/** What a runtime asks for, and since which version it may. */
export const VERBS: Readonly<Record<Verb, SpecVersion>> = {
  ADD: '0.3.0',
  DEL: '0.3.0',
  VERSION: '0.3.0',
  CHECK: '0.4.0',
  STATUS: '1.1.0',
  GC: '1.1.0',
};
export type Verb = 'ADD' | 'DEL' | 'VERSION' | 'CHECK' | 'STATUS' | 'GC';

/** An interface of a result: of the workload, or of the host where it has no sandbox. */
export interface ResultInterface {
  readonly name: string;
  readonly mac?: string;
  /** Since 1.1.0. */
  readonly mtu?: number;
  /** Path of the namespace. */
  readonly sandbox?: string;
  /** Since 1.1.0. */
  readonly socketPath?: string;
  /** Since 1.1.0. */
  readonly pciID?: string;
}
export interface ResultIp {
  /** With its prefix length. */
  readonly address: string;
  readonly gateway?: string;
  /** Index into the interfaces. */
  readonly interface?: number;
}
export interface ResultRoute {
  readonly dst: string;
  readonly gw?: string;
  /** Since 1.1.0, as all below. */
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}
export interface ResultDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}
/** What ADD comes to, as the latest version has it. */
export interface Result {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: ResultDns;
}

/** One attachment of a runtime: the primary key of what a plugin holds. */
export interface Attachment {
  readonly containerID: string;
  readonly ifname: string;
}
