/** What can happen, by the kind of object it happens to. */
export const EVENT_TYPES = [
  'network',
  'endpoint',
  'container',
  'repair',
  'gc',
  'dns',
  'dhcp',
  'engine',
  'cluster',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Something that happened: a line of `netloom events`. */
export interface EngineEvent {
  /** ISO 8601, to the millisecond. */
  readonly time: string;
  readonly type: EventType;
  /** A verb: `create`, `remove`, `attach`, `detach`, `start`, `die`, `publish`, `repair`, `back-off`, `query` … */
  readonly action: string;
  /** Id of the object; empty where it has none. */
  readonly id: string;
  /** For people: the network's or container's name, `eth0 of web`, the fact of a repair. */
  readonly name: string;
  /** What else there is to say, by its name: `address`, `network`, `cause` … */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface EventFilter {
  /** Missing or empty: all but `dns`, which tells every query and must be asked for. */
  readonly types?: readonly EventType[];
}
