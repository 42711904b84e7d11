import { NetloomError } from '../errors.ts';
import type { ChangeOptions, ContainerDetail, EngineApi } from '../model/index.ts';
import { positionText } from './errors.ts';
import type { PlannedContainer, PlannedNetwork, PlannedService, UpPlan } from './plan.ts';
import { ComposeRunError, type Failure, type Journal, typedFailure } from './progress.ts';
import { Rehearsal } from './rehearsal.ts';
import { leavingOrder, removal, removeAll, removeOne } from './teardown.ts';

/** What a run needs to know of the caller's wishes. */
export interface RunOptions extends ChangeOptions {
  readonly signal?: AbortSignal;
}

/** One run of a plan. */
export class UpRun {
  readonly #engine: EngineApi;
  readonly #plan: UpPlan;
  readonly #journal: Journal;
  readonly #options: RunOptions;
  readonly #change: ChangeOptions;
  readonly #failures: Failure[] = [];
  /** Containers made ahead of their turn. */
  readonly #created = new Set<string>();
  /** Services that did not come up, for those that wait for them. */
  readonly #missing = new Set<string>();

  constructor(engine: EngineApi, plan: UpPlan, journal: Journal, options: RunOptions) {
    this.#engine = engine;
    this.#plan = plan;
    this.#journal = journal;
    this.#options = options;
    this.#change = { explain: options.explain === true };
  }

  async perform(): Promise<void> {
    this.#failures.push(...(await removeAll(this.#engine, this.#plan.remove, this.#journal, this.#change)));
    this.#failures.push(
      ...(await removeAll(this.#engine, this.#early(), this.#journal, { ...this.#change, quiet: true })),
    );
    this.#giveUpIfFailed();
    await settle(
      this.#plan.networks.map((network) =>
        this.#try(`network ${network.desired.name}`, positionText(network.desired.at), () => this.#network(network)),
      ),
    );
    this.#giveUpIfFailed();
    await this.#reserveAddresses();
    this.#giveUpIfFailed();
    await this.#services();
    this.#giveUpIfFailed();
  }

  /** Asks the engine for the plan of every step, in the order of `perform`, and changes nothing. */
  async rehearse(): Promise<void> {
    const rehearsal = new Rehearsal();
    for (const container of await leavingOrder(this.#plan.remove)) {
      rehearsal.add({ object: `container ${container.name}`, place: '' }, ...removal(container));
      this.#journal.done(`container ${container.name}`, 'removed');
    }
    for (const container of await leavingOrder(this.#early()))
      rehearsal.add({ object: `container ${container.name}`, place: '' }, ...removal(container));
    for (const network of this.#plan.networks) this.#rehearseNetwork(rehearsal, network);
    const fixed = new Set(this.#withFixedAddress().map(({ container }) => container));
    for (const service of this.#plan.services)
      for (const container of service.containers)
        if (fixed.has(container)) rehearsal.add(...creation(service, container));
    for (const service of this.#plan.services) {
      for (const container of service.containers) {
        const { desired, action, existing, early } = container;
        const about = { object: `container ${desired.name}`, place: place(service) };
        if (action === 'recreate' && !early) rehearsal.add(about, ...removal(existing!));
        if ((action === 'create' || action === 'recreate') && !fixed.has(container))
          rehearsal.add(...creation(service, container));
        if (action !== 'keep') rehearsal.add(about, { verb: 'containerStart', ref: desired.name });
        this.#journal.done(about.object, DONE[action]);
      }
    }
    await rehearsal.run(this.#engine, this.#journal);
  }

  #rehearseNetwork(rehearsal: Rehearsal, { desired, action, existing }: PlannedNetwork): void {
    const about = { object: `network ${desired.name}`, place: positionText(desired.at) };
    if (action === 'keep' || desired.spec === undefined) return this.#journal.done(about.object, 'unchanged');
    if (action === 'recreate') rehearsal.add(about, { verb: 'networkRemove', ref: existing!.id });
    rehearsal.add(about, { verb: 'networkCreate', spec: desired.spec });
    this.#journal.done(about.object, action === 'create' ? 'created' : 'recreated');
  }

  #early(): ContainerDetail[] {
    return this.#plan.services.flatMap((service) =>
      service.containers.flatMap((container) => (container.early ? (container.existing ?? []) : [])),
    );
  }

  async #network(planned: PlannedNetwork): Promise<void> {
    const { desired, action, existing } = planned;
    const object = `network ${desired.name}`;
    if (action === 'keep' || desired.spec === undefined) {
      this.#journal.done(object, 'unchanged');
      return;
    }
    if (action === 'recreate') {
      this.#journal.report(object, 'removing');
      this.#journal.steps((await this.#engine.networkRemove(existing!.id, this.#change)).plan);
    }
    this.#journal.report(object, 'creating');
    this.#journal.steps((await this.#engine.networkCreate(desired.spec, this.#change)).plan);
    this.#journal.done(object, action === 'create' ? 'created' : 'recreated');
  }

  /** Fixed addresses first: an automatic one of a neighbour, made at the same time, could otherwise be just that. */
  async #reserveAddresses(): Promise<void> {
    await settle(
      this.#withFixedAddress().map(({ service, container }) =>
        this.#try(`container ${container.desired.name}`, place(service), async () => {
          await this.#create(container);
          this.#created.add(container.desired.name);
        }),
      ),
    );
  }

  #withFixedAddress(): { service: PlannedService; container: PlannedContainer }[] {
    return this.#plan.services.flatMap((service) =>
      service.containers
        .filter(({ action, early }) => action === 'create' || early)
        .filter(({ desired }) =>
          (desired.spec.networks ?? []).some((endpoint) => (endpoint.addresses ?? []).length > 0),
        )
        .map((container) => ({ service, container })),
    );
  }

  /** Every service as soon as all that it waits for are there. */
  async #services(): Promise<void> {
    const running = new Map<string, Promise<void>>();
    // dependencies come first in the plan, so that what a service waits for is in the map already
    for (const service of this.#plan.services) {
      const before = service.desired.dependsOn.map((edge) => running.get(edge.service));
      running.set(
        service.desired.name,
        settle(before).then(() => this.#service(service)),
      );
    }
    await settle(running.values());
  }

  async #service(service: PlannedService): Promise<void> {
    const { name, dependsOn } = service.desired;
    const failures = this.#failures.length;
    const blocked = dependsOn.some((edge) => this.#missing.has(edge.service)) || this.#options.signal?.aborted === true;
    if (!blocked) {
      const changing = service.containers.filter((container) => container.action !== 'keep');
      const ready =
        changing.length === 0 ||
        (await this.#try(`service ${name}`, place(service), () => this.#waitForCompletion(service)));
      if (ready) await settle(service.containers.map((container) => this.#container(service, container)));
    }
    const up = new Set(this.#journal.actions.map((action) => action.object));
    const all = service.containers.every((container) => up.has(`container ${container.desired.name}`));
    if (blocked || !all || (this.#failures.length > failures && !all)) this.#missing.add(name);
  }

  async #waitForCompletion(service: PlannedService): Promise<void> {
    for (const edge of service.desired.dependsOn) {
      if (edge.condition !== 'completed') continue;
      const containers = this.#plan.services.find((other) => other.desired.name === edge.service)!.containers;
      await Promise.all(
        containers.map(async ({ desired: { name } }) => {
          this.#journal.report(`container ${name}`, 'waiting');
          const status = await untilAborted(this.#engine.containerWait(name), this.#options.signal);
          if (status !== 0)
            throw new NetloomError('EDEPENDENCY', `${name} ended with status ${status}`, {
              hint: `see netloom logs ${name}`,
            });
        }),
      );
    }
  }

  async #container(service: PlannedService, container: PlannedContainer): Promise<void> {
    const { desired, action, existing, early } = container;
    const object = `container ${desired.name}`;
    await this.#try(object, place(service), async () => {
      if (action === 'recreate' && !early) await removeOne(this.#engine, existing!, this.#journal, this.#change);
      if ((action === 'create' || action === 'recreate') && !this.#created.has(desired.name))
        await this.#create(container);
      if (action !== 'keep') {
        this.#journal.report(object, 'starting');
        this.#journal.outcome(await this.#engine.containerStart(desired.name, this.#change));
      }
      this.#journal.done(object, DONE[action]);
    });
  }

  async #create({ desired }: PlannedContainer): Promise<void> {
    this.#journal.report(`container ${desired.name}`, 'creating');
    this.#journal.outcome(await this.#engine.containerCreate(desired.spec, this.#change));
  }

  /** Runs a step; a failure is kept for the end. False when it failed. */
  async #try(object: string, where: string, step: () => Promise<void>): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      const failure = typedFailure(error, where);
      this.#failures.push({ object, error: failure });
      this.#journal.report(object, 'failed', failure.message);
      return false;
    }
  }

  #giveUpIfFailed(): void {
    if (this.#failures.length === 0) return;
    const done = new Set(
      this.#journal.actions.filter(({ action }) => action !== 'removed').map(({ object }) => object),
    );
    const wanted = [
      ...this.#plan.networks.map((network) => `network ${network.desired.name}`),
      ...this.#plan.services.flatMap((service) =>
        service.containers.map((container) => `container ${container.desired.name}`),
      ),
    ];
    const list = (objects: readonly string[]): string => (objects.length === 0 ? 'nothing' : objects.join(', '));
    const rest = `up: ${list(wanted.filter((object) => done.has(object)))}; not up: ${list(wanted.filter((object) => !done.has(object)))}`;
    throw new ComposeRunError(this.#failures, this.#journal.actions, rest);
  }
}

function creation(service: PlannedService, { desired }: PlannedContainer): Parameters<Rehearsal['add']> {
  const about = { object: `container ${desired.name}`, place: place(service) };
  return [about, { verb: 'containerCreate', spec: desired.spec }];
}

const DONE = { create: 'created', recreate: 'recreated', start: 'started', keep: 'unchanged' } as const;

function place(service: PlannedService): string {
  return `${positionText(service.desired.at)}: services.${service.desired.name}`;
}

async function settle(work: Iterable<unknown>): Promise<void> {
  await Promise.allSettled(work);
}

/** The work's result, or EABORTED once the signal says so; the work itself goes on. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new NetloomError('EABORTED', 'interrupted'));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
