/**
 * Loaded before every test file (tools/node-test.sh): a file whose process does not end, because a test hangs or leaves
 * something open behind it, fails by itself and says what it waits for, so that the rest of the suite still runs.
 */
import { basename } from 'node:path';
import { PACE } from './pace.ts';

/** Longer than the slowest file on a slow machine, shorter than the limit of the whole run; or as somebody says who has time. */
const SECONDS = Number(process.env['NETLOOM_TEST_SECONDS'] ?? Math.min(300 * PACE, 600));

const file = process.argv[1] ?? '';
if (file.endsWith('.test.ts')) {
  const timer = setTimeout(() => {
    const waiting = process.getActiveResourcesInfo().join(', ');
    console.error(`${basename(file)}: not ended after ${SECONDS} s; it waits for: ${waiting}`);
    process.exit(1);
  }, SECONDS * 1000);
  timer.unref(); // it alone keeps nothing alive
}
