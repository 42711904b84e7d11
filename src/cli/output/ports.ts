import type { PublishedPort } from '../../model/index.ts';
import { bracket } from './views.ts';

export interface PortLine {
  /** `80/tcp` */
  readonly inside: string;
  /** `0.0.0.0:8888` */
  readonly outside: string;
  /** The host's firewall keeps it from the outside. */
  readonly denied: boolean;
}

/** `80/tcp -> 0.0.0.0:8888`, and what keeps it from the outside. */
export function portLine({ inside, outside, denied }: PortLine): string {
  return `${inside} -> ${outside}${denied ? DENIED : ''}`;
}
/** After a port that is closed to the outside. */
export const DENIED = ' (denied)';

/** Every single port of what is published; `wanted` picks by the container's port. */
export function portLines(
  published: readonly PublishedPort[],
  wanted: (containerPort: number, protocol: PublishedPort['protocol']) => boolean = () => true,
): PortLine[] {
  return published.flatMap((each) =>
    Array.from({ length: each.count }, (_, index) => index)
      .filter((index) => wanted(each.containerPort + index, each.protocol))
      .map((index) => ({
        inside: `${each.containerPort + index}/${each.protocol}`,
        outside: `${bracket(each.hostAddress)}:${each.hostPort + index}`,
        denied: each.denied === true,
      })),
  );
}
