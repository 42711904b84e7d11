// Listens on every port given, and tells each client one line about its connection.
import { createServer } from 'node:net';

const plain = (address) => address?.replace(/^::ffff:/, '');

for (const port of process.argv.slice(2).map(Number)) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // a client that has gone already
    socket.end(`${plain(socket.localAddress)} port ${port} answers ${plain(socket.remoteAddress)}\n`);
  });
  server.listen(port, () => console.log(`listening on port ${port}`));
}
