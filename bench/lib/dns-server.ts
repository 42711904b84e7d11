/**
 * dns-server.ts ADDRESS PORT UPSTREAM NAMES: the resolver as a process of its own, with names l0.test to lN.test of its own,
 * until its standard input ends. Says `ready`.
 */
import { DnsServer } from '../../src/dns/index.ts';

const [address, port, upstream, names] = process.argv.slice(2) as [string, string, string, string];
const table = new Map<string, readonly string[]>();
for (let i = 0; i < Number(names); i++) table.set(`l${i}.test`, [`10.9.${i >> 8}.${i & 255}`]);
const policy = { forward: true };
const servers = [upstream];
const server = new DnsServer({
  view: {
    lookup: (_, name) => table.get(name),
    reverse: () => undefined,
    srv: () => undefined,
    policy: () => policy,
  },
  upstreams: { servers: () => servers, [Symbol.dispose]: () => undefined },
});
await server.listen('bench', address, Number(port));
console.log('ready');
for await (const _ of process.stdin);
await server[Symbol.asyncDispose]();
