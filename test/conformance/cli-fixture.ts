/** `netloom` on an engine that is only a table of records: for what has to be started as a program (shells, signals). */
import { FixtureEngine } from '../../src/cli/fixture.test.ts';
import { runCli } from '../../src/cli/app.ts';

const engine = new FixtureEngine();
// What `run` starts: the test says it in words of a shell.
if (process.env['FIXTURE_RUN'] !== undefined) {
  engine.spawn = {
    file: '/bin/sh',
    args: ['-c', process.env['FIXTURE_RUN']],
    env: { PATH: process.env['PATH'] ?? '' },
    cwd: '/',
  };
}
engine.containers = engine.containers.map((container) =>
  container.name === 'job' ? { ...container, name: 'job:1' } : container,
);
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdinIsTTY: false,
  stdin: () => Promise.resolve(''),
  env: process.env,
  program: process.argv[1]!,
  now: () => Date.now(),
  open: async () => engine,
});
