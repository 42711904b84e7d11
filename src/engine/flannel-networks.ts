import type { Network } from '../model/index.ts';
import type { Core } from './core.ts';
import { FlannelMember } from './flannel-member.ts';
import { isFlannel } from './overlay.ts';
import { KEYS } from './records.ts';
import type { Service } from './services.ts';

/** Every flannel network that this host is in, for as long as a resident engine lives. */
export class FlannelNetworks implements Service {
  readonly #core: Core;
  readonly #members = new Map<string, FlannelMember>();

  private constructor(core: Core) {
    this.#core = core;
  }

  static async begin(core: Core): Promise<FlannelNetworks> {
    const networks = new FlannelNetworks(core);
    const all = await core.store.read((tx) => tx.list<Network>(KEYS.networks));
    for (const { value } of all) {
      if (isFlannel(value)) networks.#members.set(value.id, new FlannelMember(core, value.id));
    }
    return networks;
  }

  /** What does not work, a line each. */
  get faults(): readonly string[] {
    return [...this.#members.values()].flatMap((member) => member.faults);
  }

  /** Resolves once its other hosts are known here, as far as etcd answers. */
  async follow(id: string): Promise<void> {
    const member = this.#members.get(id) ?? new FlannelMember(this.#core, id);
    this.#members.set(id, member);
    await member.settled;
  }
  async leave(id: string): Promise<void> {
    const member = this.#members.get(id);
    this.#members.delete(id);
    await member?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.keys()].map((id) => this.leave(id)));
  }
}
