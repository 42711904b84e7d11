// A sandbox service: every command gets a network of its own in a few milliseconds, may connect to what its owner allows
// and to nothing else, answers on a published port, and leaves nothing behind. Run the demonstration as root:
//   node examples/sandbox/demo.ts
// In a program of your own, these come from 'netloom', 'netloom/addr' and 'netloom/nftables'.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { parsePrefix } from '../../src/addr/index.ts';
import { type Endpoint, type Engine, type EngineOptions, hasCode, Netns, openEngine } from '../../src/index.ts';
import { chainAdd, NftConn, type NftStatement, statementRuleAdd, tableAdd } from '../../src/nftables/index.ts';

/** Where a sandbox may open connections to. */
export interface Destination {
  /** `198.51.100.0/24`, `2001:db8::7/128` */
  readonly to: string;
  /** Missing: every port, and every protocol. */
  readonly tcpPort?: number;
}
export interface SandboxSpec {
  readonly command: readonly string[];
  /** The command's own port, which the host publishes on any free one. */
  readonly port?: number;
  /** Default: nowhere. Answers to whoever connects to the port always pass. */
  readonly egress?: readonly Destination[];
  /** Bits per second to the outside. */
  readonly rate?: number;
}
export interface Sandbox extends AsyncDisposable {
  readonly endpoint: Endpoint;
  /** Of the host, where one was asked for. */
  readonly hostPort: number | undefined;
  /** Milliseconds from nothing to a namespace with network and rules. */
  readonly took: number;
  readonly process: ChildProcess;
}

/** What every endpoint of this service is called by, so that the next process finds what this one left. */
const PREFIX = 'sandbox:';
const NETWORK = 'sandboxes';

export class Sandboxes implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #directory: string;

  private constructor(engine: Engine, directory: string) {
    this.#engine = engine;
    this.#directory = directory;
  }

  /** @param directory where its namespaces have their names; `ip netns` looks in /run/netns */
  static async open(options: EngineOptions = {}, directory = '/run/netns'): Promise<Sandboxes> {
    const engine = await openEngine(options);
    const service = new Sandboxes(engine, directory);
    // icc: sandboxes of one network do not reach each other
    await engine.networkCreate({ name: NETWORK, options: { icc: 'false' } }).catch((error: unknown) => {
      if (!hasCode(error, 'ENAMETAKEN')) throw error;
    });
    for (const { name, id, netns } of await engine.endpointList())
      if (name?.startsWith(PREFIX)) await service.#remove(id, netns); // somebody was killed
    return service;
  }

  async create({ command, port, egress = [], rate = 0 }: SandboxSpec): Promise<Sandbox> {
    const began = performance.now();
    const name = `${PREFIX}${randomUUID()}`;
    const path = `${this.#directory}/${name.replace(':', '-')}`;
    using netns = Netns.create();
    netns.pin(path);
    let endpoint: Endpoint | undefined;
    try {
      const rules = allowOnly(netns, egress);
      ({ value: endpoint } = await this.#engine.endpointAttach({
        name,
        netns: path,
        network: NETWORK,
        egressRate: rate,
        ports: port === undefined ? [] : [{ protocol: 'tcp', hostPort: 0, containerPort: port, count: 1 }],
      }));
      await rules;
    } catch (error) {
      await this.#remove(endpoint?.id, path);
      throw error;
    }
    const took = performance.now() - began;
    const { id } = endpoint;
    // without capabilities nobody inside can change rules or addresses; files and processes are another matter
    const caged = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--', ...command];
    const process = spawn('nsenter', [`--net=${path}`, '--', ...caged], { stdio: ['ignore', 'inherit', 'inherit'] });
    process.on('error', () => undefined); // it has ended, then
    return {
      endpoint,
      hostPort: endpoint.ports[0]?.hostPort,
      took,
      process,
      [Symbol.asyncDispose]: async () => {
        if (process.exitCode === null && process.signalCode === null && process.kill('SIGKILL'))
          await once(process, 'exit');
        await this.#remove(id, path);
      },
    };
  }

  async #remove(id: string | undefined, path: string): Promise<void> {
    if (id !== undefined)
      await this.#engine.endpointDetach(id).catch((error: unknown) => {
        if (!hasCode(error, 'EENDPOINTNOTFOUND')) throw error;
      });
    Netns.unpin(path);
  }

  /** Ends the service; what of its sandboxes is still there stays for the next. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.networkRemove(NETWORK).catch((error: unknown) => {
      if (!hasCode(error, 'ENETWORKINUSE')) throw error;
    });
    await this.#engine[Symbol.asyncDispose]();
  }
}

/** Rules of the namespace's own: whatever leaves it is an answer, or goes where it may. */
async function allowOnly(netns: Netns, destinations: readonly Destination[]): Promise<void> {
  using conn = NftConn.open(netns);
  const chain = { family: 'inet', table: 'egress' } as const;
  const allow = (statements: readonly NftStatement[]): ReturnType<typeof statementRuleAdd> =>
    statementRuleAdd({ ...chain, chain: 'output', statements: [...statements, { accept: null }] });
  await conn.commit([
    tableAdd({ family: chain.family, name: chain.table }),
    chainAdd({ ...chain, name: 'output', base: { type: 'filter', hook: 'output', priority: 0, policy: 'drop' } }),
    ...allow([{ match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] } }]),
    ...allow([{ match: { op: '==', left: { meta: { key: 'oifname' } }, right: 'lo' } }]),
    ...destinations.flatMap(({ to, tcpPort }) => {
      const { family, address, length } = parsePrefix(to);
      const daddr = { payload: { protocol: family === 4 ? 'ip' : 'ip6', field: 'daddr' } };
      const dport = { payload: { protocol: 'tcp', field: 'dport' } };
      const there: NftStatement = {
        match: { op: '==', left: daddr, right: { prefix: { addr: address.text, len: length } } },
      };
      return allow(tcpPort === undefined ? [there] : [there, { match: { op: '==', left: dport, right: tcpPort } }]);
    }),
    ...statementRuleAdd({ ...chain, chain: 'output', statements: [{ reject: null }] }),
  ]);
}
