import { NetloomError } from '../errors.ts';
import { type Endpoint, formatPort, type Network, type PublishedPort } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';

/** `held-ports/<protocol>/<port>`: what this node has of the ports of every node, as far as it knows. */
export const HELD = 'held-ports/';
/** Of one range: each is a key of its own. */
const MOST = 100;

/**
 * Why ports of every node cannot be had on a network, before anybody is asked.
 * @throws NetloomError ENOPUBLISH, EBADPORT
 */
export function requireIngress(network: Network, ports: readonly PublishedPort[], chosen: boolean): void {
  const { name, overlay, options } = network;
  const refuse = (why: string, hint: string): never => {
    throw new NetloomError('ENOPUBLISH', `network "${name}": ${why}`, { hint });
  };
  if (chosen || ports.some(({ count }) => count > MOST)) {
    throw new NetloomError(
      'EBADPORT',
      chosen
        ? 'a port of every node is chosen by whoever publishes it'
        : `${MOST} ports of every node can be published at once`,
      { hint: 'name one: published=8080,target=80,mode=ingress' },
    );
  }
  const odd = ports.find(({ hostAddress }) => hostAddress !== '0.0.0.0' && hostAddress !== '::');
  if (odd) {
    throw new NetloomError('EBADPORT', `${formatPort(odd)}: a port of every node is on every address`, {
      hint: 'leave the address out, or publish it with mode=host',
    });
  }
  if (options.driver !== 'bridge') return;
  if (options.gatewayMode4 === 'routed' || options.gatewayMode6 === 'routed')
    refuse(
      'it is routed: its ports are open at its endpoints’ own addresses, from every node',
      'publish with mode=host',
    );
  if (overlay?.plan === 'flat' && !options.icc)
    refuse('with icc=false other nodes do not reach its endpoints, nor would ports published there', 'take plan=node');
}

/** Ports of every node that nobody has asked etcd for yet. */
export class PortUnclaimedError extends NetloomError {
  readonly ports: readonly PublishedPort[];
  readonly workload: string;

  constructor(ports: readonly PublishedPort[], workload: string) {
    super('EPORTTAKEN', `${ports.map(formatPort).join(' and ')} of every node is not this node's`, {
      hint: 'try again when etcd is reached: netloom node status',
    });
    this.ports = ports;
    this.workload = workload;
  }
}

/** @throws PortUnclaimedError: claim them, and come again */
export async function requireHeld(tx: ReadTx, ports: readonly PublishedPort[], workload: string): Promise<void> {
  for (const key of keysOf(ports))
    if ((await tx.get(HELD + key)) === undefined) throw new PortUnclaimedError(ports, workload);
}

/** Its ports of every node. */
export function everywhere({ ports }: Pick<Endpoint, 'ports'>): string[] {
  return keysOf(ports.filter(({ mode }) => mode === 'ingress'));
}

/** `tcp/08080`, each once. */
export function keysOf(ports: readonly PublishedPort[]): string[] {
  const keys = new Set<string>();
  for (const { protocol, hostPort, count } of ports)
    for (let i = 0; i < count; i++) keys.add(`${protocol}/${String(hostPort + i).padStart(5, '0')}`);
  return [...keys];
}
