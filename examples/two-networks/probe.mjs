// Tries every HOST:PORT given, says what came of it, and ends.
import { connect } from 'node:net';

/** How long somebody may take to begin listening, and how long silence lasts before it counts as one; milliseconds. */
const PATIENCE = 8000;
const SILENCE = 4000;

for (const target of process.argv.slice(2)) {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(target);
  console.log(`${target}: ${await probe(host, Number(port), Date.now() + PATIENCE)}`);
}

async function probe(host, port, deadline) {
  const result = await attempt(host, port);
  // the neighbour is there and not listening yet, or has not come up on the link yet
  if (!['ECONNREFUSED', 'EHOSTUNREACH'].includes(result) || Date.now() > deadline) return result;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return probe(host, port, deadline);
}

function attempt(host, port) {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port, timeout: SILENCE });
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => resolve(`open, "${text.trim()}"`));
    socket.on('error', (error) => resolve(error.code ?? error.message));
    socket.on('timeout', () => socket.destroy(Object.assign(new Error(), { code: 'no answer' })));
  });
}
