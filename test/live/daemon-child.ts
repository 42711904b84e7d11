/** A daemon process over an engine in memory: `daemon-child.ts SOCKET [slow|reject]`; tells on fd 1 what happens. */
import { writeSync } from 'node:fs';
import { runDaemon } from '../../src/daemon/index.ts';
import { MemoryEngine } from './api-fixture.ts';

const [socketPath = '', mode = ''] = process.argv.slice(2);
const engine = new MemoryEngine();
const tell = (line: string): void => void writeSync(1, `${line}\n`);
if (mode === 'slow') {
  const gate = Promise.withResolvers<void>();
  engine.gate = gate.promise;
  const attach = engine.endpointAttach.bind(engine);
  engine.endpointAttach = (...call) => (tell('attaching'), attach(...call));
  process.on('SIGUSR2', () => gate.resolve());
}
if (mode === 'reject') engine.networkList = async () => (void Promise.reject(new Error('forgotten')), []);
try {
  await runDaemon({ engine, socketPath, stopDeadline: 5000, onListening: () => tell('listening') });
  tell(`disposed ${engine.disposed}`);
} catch (error) {
  tell(String((error as { code?: unknown }).code));
  process.exitCode = 3;
}
