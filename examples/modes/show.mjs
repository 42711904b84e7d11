// Prints one line of JSON: the interfaces that this process sees. With --serve PORT goes on as a server that says who
// it is; with --ask HOST:PORT asks one first.
import { createServer, connect } from 'node:net';
import { networkInterfaces } from 'node:os';

const [verb, operand] = process.argv.slice(2);
const interfaces = Object.fromEntries(
  Object.entries(networkInterfaces()).map(([name, addresses]) => [name, addresses.map(({ cidr }) => cidr)]),
);

if (verb === '--serve') {
  const server = createServer((socket) => socket.on('error', () => undefined).end('main is here\n'));
  server.listen(Number(operand), () => console.log(JSON.stringify({ interfaces })));
} else {
  console.log(
    JSON.stringify({ interfaces, ...(verb === '--ask' ? { answer: await ask(operand, Date.now() + 5000) } : {}) }),
  );
}

/** Asks until somebody listens there, or the deadline has passed. */
async function ask(target, deadline) {
  const [host, port] = target.split(':');
  const result = await new Promise((resolve) => {
    let text = '';
    connect({ host, port: Number(port) })
      .on('data', (chunk) => (text += chunk))
      .on('end', () => resolve({ text: text.trim() }))
      .on('error', (error) => resolve({ error: error.code }));
  });
  if (result.error !== 'ECONNREFUSED' || Date.now() > deadline) return result.text ?? result.error;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return ask(target, deadline);
}
