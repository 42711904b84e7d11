import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mtuProbeIn, type Netns } from '../../kernel/index.ts';
import type { Check, Result, View } from '../check.ts';
import { sysctl } from '../read.ts';

/** MTUs of links that must agree, and a packet of the uplink's full size to the next router. */
export const mtu: Check = {
  name: 'mtu',
  about: 'the MTU along the way out, and routers that swallow large packets',
  async run(view) {
    return [...lengths(view), ...(await swallowed(view))];
  },
};

function lengths(view: View): Result[] {
  const uplink = uplinkOf(view);
  const results: Result[] = [];
  for (const network of view.networks) {
    const { options } = network;
    if (options.driver !== 'bridge' || network.internal) continue;
    const bridge = view.links.find((l) => l.name === options.bridge);
    if (!bridge) continue;
    const object = `network ${network.name}`;
    if (uplink && bridge.mtu > uplink.mtu) {
      results.push({
        status: 'warning',
        object,
        summary: `packets of up to ${bridge.mtu} bytes meet an uplink of ${uplink.mtu}: they are cut up, or lost where cutting is forbidden and the refusal is filtered`,
        evidence: [`${bridge.name} mtu ${bridge.mtu}`, `${uplink.name} mtu ${uplink.mtu}`],
        cure: [`netloom network update ${network.name} -o mtu=${uplink.mtu}`],
      });
    }
    const wrong = view.links.filter((l) => l.master === bridge.index && l.mtu !== options.mtu);
    if (wrong.length > 0) {
      results.push({
        status: 'failure',
        object,
        summary: `${wrong.length} of its ports have another MTU than the network's: large frames are dropped without a word`,
        evidence: [
          `network ${network.name} mtu ${options.mtu}`,
          ...wrong.slice(0, 10).map((l) => `${l.name} mtu ${l.mtu}`),
        ],
        cure: ['netloom gc'],
      });
    }
  }
  if (results.length > 0) return results;
  const summary = uplink
    ? `no network exceeds the uplink's MTU of ${uplink.mtu} (${uplink.name})`
    : 'the host has no default route: nothing to exceed';
  return [{ status: 'ok', summary }];
}

/** A closed port of the router answers small and large alike, unless something on the way swallows what is large. */
async function swallowed(view: View): Promise<Result[]> {
  const uplink = uplinkOf(view);
  const gateway = view.routes.find(
    (r) => r.dst === '0.0.0.0/0' && r.gateway !== '' && r.oif === uplink?.index,
  )?.gateway;
  if (!uplink || gateway === undefined) return [];
  const host = view.kernel.netns('');
  const small = await refused(host, gateway, 32);
  if (!small) {
    const summary = `the router ${gateway} does not answer probes: the way out could not be measured`;
    return [{ status: 'info', summary }];
  }
  const large = await refused(host, gateway, uplink.mtu - IP_AND_UDP);
  const evidence = [
    `UDP to ${gateway}, do not fragment: 32 bytes answered, ${uplink.mtu} bytes ${large ? 'answered' : 'lost'}`,
  ];
  if (large) return [{ status: 'ok', summary: `packets of ${uplink.mtu} bytes reach the router ${gateway}`, evidence }];
  const probing = sysctl(host, 'net.ipv4.tcp_mtu_probing');
  return [
    {
      status: 'failure',
      summary: `packets of ${uplink.mtu} bytes do not reach the router ${gateway}, and nobody says so: large transfers hang`,
      evidence: [...evidence, `net.ipv4.tcp_mtu_probing = ${probing ?? 'missing'}`],
      cure: [
        `lower the MTU of ${uplink.name} until they do: ip link set ${uplink.name} mtu 1400`,
        'sysctl -w net.ipv4.tcp_mtu_probing=1',
      ],
    },
  ];
}

const IP_AND_UDP = 28;
/** traceroute's ports: nobody listens there. */
const CLOSED = 33434;
const PATIENCE_MS = 700;
const NUDGE_MS = 50;
/** Whether a datagram of that size is answered by "port unreachable". */
async function refused(host: Netns, address: string, size: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const { promise: answer, resolve } = Promise.withResolvers<boolean>();
  // a refusal is reported by the next operation on the socket, whichever that is
  const packet = Buffer.alloc(size);
  let connected = false;
  const nudge = setInterval(() => connected && socket.send(packet), NUDGE_MS);
  const late = setTimeout(() => resolve(false), PATIENCE_MS);
  try {
    socket.bind({ fd: mtuProbeIn(host).release() }); // listening at once
    socket.on('error', (error) => resolve(errnoOf(error) === 'ECONNREFUSED'));
    socket.connect(CLOSED, address);
    await once(socket, 'connect');
    connected = true;
    socket.send(packet);
    return await answer;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false; // no way there at all
  } finally {
    clearInterval(nudge);
    clearTimeout(late);
    socket.close();
  }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function uplinkOf(view: View): View['links'][number] | undefined {
  const [route] = view.routes
    .filter((r) => (r.dst === '0.0.0.0/0' || r.dst === '::/0') && r.oif !== 0 && r.type === 'unicast')
    .toSorted((a, b) => a.family - b.family || a.metric - b.metric);
  return view.links.find((l) => l.index === route?.oif);
}
