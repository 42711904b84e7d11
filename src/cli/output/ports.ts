import type { PublishedPort } from '../../model/index.ts';
import { bracket } from './views.ts';

export interface PortLine {
  /** `80/tcp` */
  readonly inside: string;
  /** `0.0.0.0:8888` */
  readonly outside: string;
}

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
      })),
  );
}
