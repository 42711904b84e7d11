// Answers every request with what it knows about the connection, and about its neighbour. Runs on Node 18 and later.
import { createServer, get } from 'node:http';
import { hostname } from 'node:os';

const port = Number(process.env.PORT ?? 80);
const neighbour = process.env.NEIGHBOUR;

const server = createServer(async (request, response) => {
  const { socket } = request;
  const answer = {
    service: hostname(),
    // the address that the client's packets arrived at, after the host has rewritten the published one
    address: plain(socket.localAddress),
    port: socket.localPort,
    // still the client's own: publishing a port rewrites the destination only
    client: plain(socket.remoteAddress),
    ...(neighbour === undefined ? {} : { neighbour: await ask(neighbour) }),
  };
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify(answer, null, 2)}\n`);
});
server.listen(port, () => console.log(`listening on port ${port}`));

/** What the neighbour says, and at which address its name was found. */
function ask(url) {
  return new Promise((resolve) => {
    const fail = (error) => resolve({ url, error: error.code ?? error.message });
    get(url, { timeout: 2000 }, async (response) => {
      const address = plain(response.socket.remoteAddress);
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ url, address, answer: JSON.parse(text) });
    })
      .on('timeout', function () {
        this.destroy(new Error('no answer'));
      })
      .on('error', fail);
  });
}

/** An IPv4 client of a socket for both families shows as ::ffff:192.0.2.1. */
function plain(address) {
  return address?.replace(/^::ffff:/, '');
}
