import { strict as assert } from 'node:assert';
import { readdirSync, readlinkSync } from 'node:fs';
import { after } from 'node:test';
import { openDescriptors } from '../../src/kernel/index.ts';
import { until } from './wait.ts';

/**
 * Makes the file that calls it fail when its tests leave a descriptor open: call it once, at the top of the file.
 * Looked at are those that `src/kernel` counts, and every socket, namespace, device and file in /proc/self/fd.
 */
export function checkDescriptors(): void {
  const counted = openDescriptors();
  const seen = descriptors();
  after(async () => {
    const leaked = (): string[] => [
      ...openDescriptors().filter((d) => !counted.includes(d)),
      ...[...descriptors()].filter(([number, what]) => seen.get(number) !== what).map(([n, what]) => `${n} -> ${what}`),
    ];
    // a closed socket or pipe leaves with its close event, a turn or two of the loop later
    await until('every descriptor closed', () => leaked().length === 0, { timeout: 1000 }).catch(() => undefined);
    assert.deepEqual(leaked(), [], 'descriptors left open by the tests of this file');
  });
}

/** Open descriptors of this process that a program opens on purpose, and what they lead to. */
export function descriptors(): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      // Node's own: event loop, timers, thread wake-ups, and what /proc/self/fd itself is read by
      if (!/^(anon_inode:|pipe:|\/proc\/|\/dev\/(null|urandom|pts\/|tty))/.test(target))
        found.set(Number(name), target);
    } catch {
      // the directory's own descriptor, closed by now
    }
  }
  return found;
}
