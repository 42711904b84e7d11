/**
 * What the launcher starts where a runtime called: a CNI plugin or `netavark` (src/cli/plugin.ts), and no daemon listens.
 * The package has it as one file (tools/bundle.ts): to find and link modules one by one is a third of such a call.
 */
import { fileURLToPath } from 'node:url';
import { calledAs } from './launch.ts';
import { runAsPlugin } from './plugin.ts';

const main = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? 'main.ts' : 'main.js', import.meta.url));
// no top-level await: the one file is CommonJS
void runAsPlugin(calledAs() ?? 'netloom', process.argv.slice(2), main).then((status) => (process.exitCode = status));
