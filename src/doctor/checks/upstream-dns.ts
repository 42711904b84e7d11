import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { hasCode } from '../../errors.ts';
import { bindUdpIn, type Netns } from '../../kernel/index.ts';
import type { Check, Result } from '../check.ts';
import { file } from '../read.ts';

const PATIENCE_MS = 2000;
const STUB = '127.0.0.53';

/** Whether the name servers that questions are passed on to answer. */
export const upstreamDns: Check = {
  name: 'upstream-dns',
  about: 'whether the host’s name servers answer',
  async run(view) {
    const text = file('/etc/resolv.conf') ?? '';
    let servers = serversIn(text);
    const resolved = file('/run/systemd/resolve/resolv.conf');
    if (servers.every((s) => s === STUB) && resolved !== undefined) servers = serversIn(resolved);
    if (servers.length === 0) {
      return [
        {
          status: 'failure',
          summary: 'the host has no name server: workloads can resolve the names of their neighbours only',
          evidence: ['/etc/resolv.conf has no nameserver line'],
          cure: ['write `nameserver ADDRESS` into /etc/resolv.conf, or give --dns to containers'],
        },
      ];
    }
    const host = view.kernel.netns('');
    const answers = await Promise.all(servers.map(async (server) => ({ server, ms: await ask(host, server) })));
    const evidence = answers.map(({ server, ms }) =>
      ms === undefined ? `${server}: no answer in ${PATIENCE_MS} ms` : `${server}: answered in ${Math.round(ms)} ms`,
    );
    const dead = answers.filter(({ ms }) => ms === undefined).map(({ server }) => server);
    const cure = [`check the way to ${dead.join(', ')}, or take it out of /etc/resolv.conf`];
    const results: Result[] =
      dead.length === 0
        ? [{ status: 'ok', summary: `every name server answers`, evidence }]
        : dead.length < servers.length
          ? [
              {
                status: 'warning',
                summary: `${dead.join(', ')} does not answer: some questions take seconds`,
                evidence,
                cure,
              },
            ]
          : [{ status: 'failure', summary: 'no name server of the host answers', evidence, cure }];
    return results;
  },
};

function serversIn(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server);
}

/** Milliseconds until a server has answered who serves the root; undefined when it does not. @see RFC 1035 section 4 */
async function ask(host: Netns, server: string): Promise<number | undefined> {
  const v6 = isIPv6(server.replace(/%.*/, ''));
  const id = randomBytes(2);
  // recursion desired, one question: the root, NS, IN
  const query = Buffer.concat([id, Buffer.from('010000010000000000000000020001', 'hex')]);
  const socket = createSocket(v6 ? 'udp6' : 'udp4');
  const began = performance.now();
  try {
    socket.bind({ fd: bindUdpIn(host, { address: v6 ? '::' : '0.0.0.0', port: 0 }).release() });
    socket.connect(53, server);
    await once(socket, 'connect');
    socket.send(query);
    for (;;) {
      const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [Buffer];
      if (answer.length >= 12 && answer.subarray(0, 2).equals(id) && (answer[2]! & 0x80) !== 0)
        return performance.now() - began;
    }
  } catch (error) {
    if (error instanceof Error && (error.name === 'AbortError' || 'errno' in error || hasCode(error))) return undefined;
    throw error;
  } finally {
    socket.close();
  }
}
