import type { Io } from '../context.ts';

/** A line on the terminal once `work` has taken a second, gone again when it ends. Silent where stderr is no terminal. */
export async function withProgress<T>(io: Io, what: string, work: Promise<T>): Promise<T> {
  if (io.stderr.isTTY !== true) return await work;
  const started = io.now();
  let shown = false;
  const timer = setInterval(() => {
    const seconds = Math.floor((io.now() - started) / 1000);
    if (seconds < 1) return;
    shown = true;
    const width = io.stderr.columns ?? 80;
    io.stderr.write(`\r\u001b[K${`${what} … ${seconds} s`.slice(0, Math.max(10, width - 1))}`);
  }, 250);
  timer.unref();
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (shown) io.stderr.write('\r\u001b[K');
  }
}
