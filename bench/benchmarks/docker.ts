import { request } from 'node:http';
import { IMAGE, startDocker } from '../../test/lib/dockerd.ts';
import { makeHost } from '../../test/lib/host.ts';
import { until } from '../../test/lib/wait.ts';
import { median, result, type Result, timed } from '../lib/measure.ts';

const WARM = 10;
const ROUNDS = 30;
const SOCKET = '/run/bench.sock';

/**
 * A running container is connected to a network and taken off it, by the later dockerd's API: netloom's driver beside
 * Docker's own bridge, of one dockerd, in turns; and both at once, one behind the other. Needs root.
 */
export async function docker(): Promise<Result[]> {
  await using host = await makeHost();
  await using it = await startDocker({
    netns: host.netns,
    suite: true,
    dockerd: ['-H', 'unix:///var/run/docker.sock', '-H', `unix://${SOCKET}`],
  });
  await it.docker('network', 'create', '-d', 'netloom', '--subnet', '10.64.0.0/16', 'ours');
  await it.docker('network', 'create', '-d', 'bridge', '--subnet', '10.65.0.0/16', 'reference');
  // one of each that stays: a bridge without ports comes up with the first
  for (const network of SIDES) await it.docker('run', '-d', '--network', network, IMAGE);
  await it.docker('run', '-d', '--name', 'box', '--network', 'none', IMAGE);
  await it.docker('network', 'disconnect', 'none', 'box');
  const socketPath = it.machine.path(SOCKET);
  const ask = (verb: Verb, network: Side): Promise<number> =>
    timed(() => post(socketPath, `/networks/${network}/${verb}`, { Container: 'box' }));
  // what netloom does behind its answer must not fall on whoever is next; `reconnect` shows it
  const rest = (): Promise<unknown> =>
    until('nothing is on its way out', async () =>
      (await it.api.endpointList()).every(({ phase }) => phase === 'ready'),
    );
  const costs = { connect: sides(), disconnect: sides(), reconnect: sides() };
  for (let round = -WARM; round < ROUNDS; round++) {
    for (const network of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
      const connect = await ask('connect', network);
      const reconnect = (await ask('disconnect', network)) + (await ask('connect', network));
      await rest();
      const disconnect = await ask('disconnect', network);
      await rest();
      if (round < 0) continue;
      for (const [name, cost] of Object.entries({ connect, disconnect, reconnect }))
        costs[name as keyof typeof costs][network].push(cost);
    }
  }
  return (['connect', 'disconnect', 'reconnect'] as const).map((name) =>
    result(`docker/${name}`, 'ms', median(costs[name].ours), median(costs[name].reference)),
  );
}

const SIDES = ['ours', 'reference'] as const;
type Side = (typeof SIDES)[number];
type Verb = 'connect' | 'disconnect';
function sides(): Record<Side, number[]> {
  return { ours: [], reference: [] };
}

function post(socketPath: string, path: string, body: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request({ socketPath, path, method: 'POST', headers }, (answer) => {
      let said = '';
      answer.on('data', (part: Buffer) => (said += part.toString()));
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`${path}: ${answer.statusCode} ${said}`)),
      );
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(body));
  });
}
