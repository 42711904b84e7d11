import { NetloomError } from '../errors.ts';
import { EtcdClient, type EtcdOptions, type KeyValue } from '../etcd/index.ts';
import { type FlannelConfig, parseFlannelConfig } from './config.ts';
import { type FlannelLease, parseLease } from './lease.ts';

/** Where flannel has its keys unless `-etcd-prefix` says another. */
export const FLANNEL_PREFIX = '/coreos.com/network';
/** For how long a lease is a host's that does not renew it, seconds: a day, as flannel has it. */
const TTL = 24 * 3600;

/** What is in etcd of one flannel network. */
export interface FlannelRecords {
  readonly revision: number;
  /** As it is written; undefined where there is none. */
  readonly config: string | undefined;
  /** By name; a text says why it could not be read. */
  readonly leases: Map<string, FlannelLease | string>;
}
/** One change of it. */
export type FlannelChange =
  | { readonly config: string | undefined }
  | { readonly name: string; readonly lease: FlannelLease | string | undefined };

/** A flannel network's keys in etcd. Failures are EtcdClient's. */
export class FlannelRegistry implements Disposable {
  readonly #client: EtcdClient;
  readonly #prefix: string;

  /** @param prefix with or without a slash at its end */
  constructor(options: EtcdOptions, prefix: string = FLANNEL_PREFIX) {
    this.#client = new EtcdClient(options);
    this.#prefix = prefix.replace(/\/+$/, '');
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  get configKey(): string {
    return `${this.#prefix}/config`;
  }

  async read(): Promise<FlannelRecords> {
    const { revision, kvs } = await this.#client.range(this.#span());
    const leases = new Map<string, FlannelLease | string>();
    let config: string | undefined;
    for (const { key, value } of kvs) {
      const change = this.#changeOf(key, value);
      if (!change) continue;
      if ('config' in change) config = change.config;
      else if (change.lease !== undefined) leases.set(change.name, change.lease);
    }
    return { revision, config, leases };
  }

  /** @throws NetloomError ENOFLANNEL, EBADFLANNEL, EBADBACKEND */
  configOf({ config }: Pick<FlannelRecords, 'config'>): FlannelConfig {
    if (config !== undefined) return parseFlannelConfig(this.configKey, config);
    throw new NetloomError('ENOFLANNEL', `etcd has no flannel network at ${this.configKey}`, {
      hint: 'say where it is with -o prefix=, or see that flannel writes by the v3 API',
    });
  }

  /** Changes from behind `revision` on; each batch as it comes. @throws as EtcdClient.watch */
  async *watch(revision: number, signal: AbortSignal): AsyncIterable<readonly FlannelChange[]> {
    for await (const { events } of this.#client.watch(this.#span(), revision + 1, signal)) {
      const changes = events.flatMap(({ key, value }) => this.#changeOf(key, value) ?? []);
      if (changes.length > 0) yield changes;
    }
  }

  /**
   * Makes a lease say that, and last for a day from now on; one without an end, which an operator reserved, keeps none.
   * @param mayReplace  whether what is there is ours to write over
   * @returns false where it is somebody else's, or somebody was faster
   */
  async hold(name: string, text: string, mayReplace: (value: string) => boolean): Promise<boolean> {
    const key = this.#leaseKey(name);
    const there = await this.#get(key);
    if (there && !mayReplace(there.value)) return false;
    const reserved = there?.lease === '0';
    const left = there && !reserved ? await this.#client.leaseKeepAlive(there.lease) : 0;
    if (there?.value === text && (reserved || left > 0)) return true;
    const granted = reserved ? undefined : await this.#client.leaseGrant(TTL);
    const done = await this.#client.transact(
      [{ key, target: 'MOD', result: 'EQUAL', revision: there?.modRevision ?? 0 }],
      [{ put: key, value: text, ...(granted !== undefined && { lease: granted }) }],
    );
    if (done === undefined && granted !== undefined) await this.#client.leaseRevoke(granted);
    return done !== undefined;
  }

  /** Gives one back; what is somebody else's by now, or an operator's reservation, is left as it is. */
  async release(name: string, isOurs: (value: string) => boolean): Promise<void> {
    const key = this.#leaseKey(name);
    for (;;) {
      const there = await this.#get(key);
      if (!there || there.lease === '0' || !isOurs(there.value)) return;
      const done = await this.#client.transact(
        [{ key, target: 'MOD', result: 'EQUAL', revision: there.modRevision }],
        [{ delete: key }],
      );
      if (done === undefined) continue;
      await this.#client.leaseRevoke(there.lease);
      return;
    }
  }

  async #get(key: string): Promise<KeyValue | undefined> {
    return (await this.#client.range({ key })).kvs[0];
  }
  #leaseKey(name: string): string {
    return `${this.#prefix}/subnets/${name}`;
  }
  /** All that begins with the prefix and a slash; `0` is the character behind it. */
  #span(): { readonly key: string; readonly end: string } {
    return { key: `${this.#prefix}/`, end: `${this.#prefix}0` };
  }

  #changeOf(key: string, value: string | undefined): FlannelChange | undefined {
    if (key === this.configKey) return { config: value };
    const root = this.#leaseKey('');
    if (!key.startsWith(root)) return undefined;
    const name = key.slice(root.length);
    if (value === undefined) return { name, lease: undefined };
    try {
      return { name, lease: parseLease(name, value) };
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
      return { name, lease: error.message };
    }
  }
}
