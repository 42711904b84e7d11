import { ComposeError, positionText } from './errors.ts';
import type { ComposeService } from './service.ts';

/** Why one service comes after another. */
export interface Edge {
  readonly service: string;
  readonly condition: 'started' | 'completed';
  /** Make this service anew when the other one was. */
  readonly restart: boolean;
  readonly at: ComposeService['at'];
}

/** What must come before a service: `depends_on`, and the service whose namespace it shares. */
export function edgesOf(service: ComposeService, present: ReadonlySet<string>): Edge[] {
  const edges: Edge[] = service.dependsOn
    .filter((dependency) => present.has(dependency.service))
    .map(({ service: name, condition, restart, at }) => ({ service: name, condition, restart, at }));
  if (service.mode.kind === 'service') {
    edges.push({ service: service.mode.name, condition: 'started', restart: true, at: service.mode.at });
  }
  return edges;
}

/**
 * The services with everything that they need, dependencies first, otherwise in the order of the file.
 * @throws ComposeError for a cycle, naming every step of it with its place.
 */
export function inDependencyOrder(services: readonly ComposeService[]): ComposeService[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const present = new Set(byName.keys());
  const done = new Set<string>();
  const order: ComposeService[] = [];

  const visit = (service: ComposeService, trail: readonly Edge[]): void => {
    if (done.has(service.name)) return;
    for (const edge of edgesOf(service, present)) {
      const path = [...trail, edge];
      const start = trail.findIndex((earlier) => earlier.service === edge.service);
      if (start >= 0) throw cycle(path.slice(start + 1), edge.service);
      visit(byName.get(edge.service)!, path);
    }
    done.add(service.name);
    order.push(service);
  };
  for (const service of services) {
    // an edge from nowhere, so that a way back to the first service is seen too
    visit(service, [{ service: service.name, condition: 'started', restart: false, at: service.at }]);
  }
  return order;
}

function cycle(steps: readonly Edge[], start: string): ComposeError {
  const way = steps.map((step) => `${step.service} (${positionText(step.at)})`).join(' -> ');
  return new ComposeError([
    {
      at: steps[0]!.at,
      path: `services.${start}.depends_on`,
      message: `services wait for each other: ${start} -> ${way}`,
      cure: 'take one of these dependencies out',
    },
  ]);
}
