import type { Position } from './errors.ts';
import { DEPENDS_KEYS } from './keys.ts';
import type { Ignore, Reader } from './reader.ts';
import type { Tree } from './tree.ts';

/** What must have happened to another service before this one starts. */
export interface Dependency {
  readonly service: string;
  readonly at: Position;
  readonly condition: 'started' | 'completed';
  /** False: a service that is not part of this run is no obstacle. */
  readonly required: boolean;
  /** Make this service anew when the other one was. */
  readonly restart: boolean;
}

/** Reads `depends_on`: a list of names, or a map with conditions. */
export function readDependsOn(reader: Reader, tree: Tree, path: string, ignore: Ignore): Dependency[] {
  if (tree.kind !== 'map') {
    return (reader.list(tree, path) ?? []).flatMap((item, index) => {
      const service = reader.string(item, `${path}[${index}]`);
      return service === undefined
        ? []
        : { service, at: item.at, condition: 'started' as const, required: true, restart: false };
    });
  }
  return [...tree.entries]
    .filter(([service]) => !service.startsWith('x-'))
    .map(([service, { keyAt, value }]) => {
      const here = `${path}.${service}`;
      const keys = reader.section(value, here, DEPENDS_KEYS, ignore);
      const flag = (key: string): boolean | undefined => {
        const entry = keys.get(key);
        return entry === undefined ? undefined : reader.boolean(entry.value, `${here}.${key}`);
      };
      return {
        service,
        at: keyAt,
        condition: readCondition(reader, keys.get('condition')?.value, `${here}.condition`, ignore),
        required: flag('required') ?? true,
        restart: flag('restart') ?? false,
      };
    });
}

function readCondition(reader: Reader, tree: Tree | undefined, path: string, ignore: Ignore): Dependency['condition'] {
  const text = tree === undefined ? 'service_started' : reader.string(tree, path);
  if (tree === undefined || text === undefined) return 'started';
  switch (text) {
    case 'service_started':
      return 'started';
    case 'service_completed_successfully':
      return 'completed';
    case 'service_healthy':
      // who ignores the health check has said that "started" must do
      reader.refuse(
        tree.at,
        path,
        'healthcheck',
        ignore,
        'netloom runs no health checks, so nothing ever becomes healthy',
        'write service_started',
      );
      return 'started';
    default:
      reader.fail(
        tree.at,
        path,
        `"${text}" is no condition`,
        'write service_started or service_completed_successfully',
      );
      return 'started';
  }
}
