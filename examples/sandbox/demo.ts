// sudo node examples/sandbox/demo.ts: a server that may connect to nobody, asked by its published port.
import { Sandboxes } from './sandbox.ts';

const SERVER = "require('node:http').createServer((_, answer) => answer.end('from inside\\n')).listen(8000)";

await using sandboxes = await Sandboxes.open();
await using sandbox = await sandboxes.create({
  command: [process.execPath, '-e', SERVER],
  port: 8000,
  egress: [{ to: '192.0.2.0/24', tcpPort: 443 }],
  rate: 10_000_000,
});
console.log(`${sandbox.endpoint.addresses.join()} in ${sandbox.took.toFixed(1)} ms, port ${sandbox.hostPort}`);
for (let attempt = 0; attempt < 50; attempt++) {
  const answer = await fetch(`http://localhost:${sandbox.hostPort}/`).catch(() => undefined);
  if (answer) {
    console.log(await answer.text());
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 100)); // until the server listens
}
