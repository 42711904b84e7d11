import { NetloomError } from '../../errors.ts';
import type { EngineEvent, EventType } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags } from '../flags.ts';
import { drained } from '../output/drained.ts';
import { eventLine, eventView } from '../output/events.ts';
import { printJson } from '../output/print.ts';
import { compileTemplate } from '../output/template.ts';
import { stopSignal } from '../stop-signal.ts';
import { withApi } from './session.ts';

export interface EventsFlags extends GlobalFlags {
  readonly type?: readonly EventType[];
  readonly format?: string;
}

export async function events(this: CliContext, flags: EventsFlags): Promise<void> {
  await follow(this, flags, flags.type);
}

export async function dnsLog(this: CliContext, flags: EventsFlags): Promise<void> {
  await follow(this, flags, ['dns']);
}

/** A line an event, until ^C. */
async function follow(context: CliContext, flags: EventsFlags, types: readonly EventType[] | undefined): Promise<void> {
  const { io } = context;
  const text = lineOf(context, flags);
  using stop = stopSignal();
  await withApi(context, flags, async (api) => {
    if ((await api.version()).mode !== 'daemon')
      throw new NetloomError('ENODAEMON', 'no daemon runs, and only a daemon sees what happens', {
        hint: 'start one: netloom daemon, or systemctl start netloom.socket',
      });
    for await (const event of api.events(types === undefined ? {} : { types }, stop.signal)) {
      if (io.stdout.write(`${text(event)}\n`) === false) await drained(io.stdout);
    }
  });
  if (!stop.signal.aborted) throw new NetloomError('ESTOPPING', 'the daemon has stopped');
}

function lineOf({ io }: CliContext, flags: EventsFlags): (event: EngineEvent) => string {
  if (flags.json === true) return (event) => JSON.stringify(event);
  if (flags.format === undefined) return eventLine(io);
  if (flags.format === 'json') return (event) => JSON.stringify(eventView(event));
  const template = compileTemplate(flags.format);
  return (event) => template(eventView(event));
}

export async function metrics(this: CliContext, flags: GlobalFlags): Promise<void> {
  const text = await withApi(this, flags, (api) => api.metrics());
  if (flags.json === true) printJson(this, { metrics: text });
  else this.io.stdout.write(text);
}
