import { withoutLength } from '../addr/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { type AttachSpec, type Endpoint, type EngineApi, type Network, parseRate, shortId } from '../model/index.ts';
import { type Fields, needText, objectIn, textIn, textsOf } from './message.ts';
import { gatewaysToSkip, ID_LABEL, networkSpecOf } from './network-spec.ts';
import { portChanges, PORT_MAP, portMapOf, portSpecsOf, unpublishSpec } from './ports.ts';

/** Whether networks are of this host, or of a swarm, whose manager gives their ids and options out. */
export type Scope = 'local' | 'global';

/** moby daemon/libnetwork/types RouteType: what is reached by the interface itself. */
const CONNECTED = 1;

/**
 * Docker's network driver. It keeps nothing: a network is found by its label, an endpoint by its name, both of which are
 * made of Docker's ids. Docker asks again what it had no answer to, so that every call may come twice.
 */
export class NetworkDriver {
  readonly #engine: EngineApi;
  readonly #scope: Scope;
  /** Networks by Docker's id of them, as last seen: neither id ever means another. */
  readonly #known = new Map<string, string>();

  constructor(engine: EngineApi, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  GetCapabilities(): Fields {
    return { Scope: this.#scope, ConnectivityScope: 'local', GwAllocChecker: true };
  }

  GwAllocCheck(request: Fields): Fields {
    return { ...gatewaysToSkip(request) };
  }

  /** On a swarm's manager: whatever is wrong with the options is said there and then. */
  async AllocateNetwork(request: Fields): Promise<Fields> {
    const options = textsOf(objectIn(request, 'Options'));
    const asked = { ...request, Options: { 'com.docker.network.generic': options } };
    await this.#engine.networkCreate(networkSpecOf(needText(request, 'NetworkID'), asked), { dryRun: true });
    return { Options: options };
  }
  FreeNetwork(): Fields {
    return {};
  }

  async CreateNetwork(request: Fields): Promise<Fields> {
    const id = needText(request, 'NetworkID');
    if (await this.#find(id)) return {};
    const { value } = await this.#engine.networkCreate(networkSpecOf(id, request));
    this.#known.set(id, value.id);
    return {};
  }

  async DeleteNetwork(request: Fields): Promise<Fields> {
    const id = needText(request, 'NetworkID');
    const network = await this.#find(id);
    if (!network) return {};
    // Docker removes a network that no container is on: what is there of it Docker has forgotten
    for (const { id } of await this.#endpointsOf(network))
      await this.#engine.endpointDetach(id).catch(unless('EENDPOINTNOTFOUND'));
    await this.#engine.networkRemove(network.id).catch(unless('ENETWORKNOTFOUND'));
    this.#known.delete(id);
    return {};
  }

  async CreateEndpoint(request: Fields): Promise<Fields> {
    const network = await this.#need(needText(request, 'NetworkID'));
    const name = nameOf(request);
    const asked = objectIn(request, 'Interface');
    const given = { mac: textIn(asked, 'MacAddress'), v4: textIn(asked, 'Address'), v6: textIn(asked, 'AddressIPv6') };
    const options = objectIn(request, 'Options');
    const addresses = [given.v4, given.v6].filter((text) => text !== '').map(withoutLength);
    const spec: AttachSpec = {
      network: network.id,
      netns: '',
      handOver: true,
      name,
      ...(addresses.length > 0 && { addresses }),
      // of a network whose endpoints have none of their own Docker may say one all the same
      ...(given.mac !== '' && hasMacs(network) && { mac: given.mac }),
      ...ratesOf(options),
    };
    const endpoint = await this.#attach(network, spec);
    // what was asked for must not be answered again
    const v4 = endpoint.addresses.find((text) => !text.includes(':'));
    const v6 = endpoint.addresses.find((text) => text.includes(':'));
    return {
      Interface: {
        ...(given.mac === '' && endpoint.mac !== '' && { MacAddress: endpoint.mac }),
        ...(given.v4 === '' && v4 !== undefined && { Address: v4 }),
        ...(given.v6 === '' && v6 !== undefined && { AddressIPv6: v6 }),
      },
    };
  }

  async DeleteEndpoint(request: Fields): Promise<Fields> {
    // the container is off it by now: Docker has taken the interface out of the sandbox, and its ports are closed
    await this.#engine.endpointDetach(nameOf(request), { behind: true }).catch(unless('EENDPOINTNOTFOUND'));
    return {};
  }

  async EndpointOperInfo(request: Fields): Promise<Fields> {
    const endpoint = await this.#engine.endpointInspect(nameOf(request));
    const { mac, hostIfname, addresses, ports } = endpoint;
    return {
      Value: {
        ...(mac !== '' && { 'com.docker.network.endpoint.macaddress': mac }),
        [PORT_MAP]: portMapOf(ports),
        'netloom.endpoint': endpoint.id,
        'netloom.addresses': addresses.join(' '),
        ...(hostIfname !== '' && { 'netloom.interface': hostIfname }),
      },
    };
  }

  /** Hands over: Docker takes the interface to the sandbox, and gives it its name, addresses and routes. */
  async Join(request: Fields): Promise<Fields> {
    const endpoint = await this.#engine.endpointInspect(nameOf(request));
    const v4 = endpoint.gateways.find((text) => !text.includes(':'));
    const v6 = endpoint.gateways.find((text) => text.includes(':'));
    const byDevice = endpoint.gateways.filter((text) => text === '0.0.0.0' || text === '::');
    return {
      InterfaceName: { SrcName: endpoint.ifname, DstPrefix: 'eth' },
      ...(v4 !== undefined && v4 !== '0.0.0.0' && { Gateway: v4 }),
      ...(v6 !== undefined && v6 !== '::' && { GatewayIPv6: v6 }),
      ...(byDevice.length > 0 && {
        StaticRoutes: byDevice.map((text) => ({ Destination: `${text}/0`, RouteType: CONNECTED })),
      }),
      // Docker would give a way out by a bridge of its own to whatever has no gateway: internal is meant so
      DisableGatewayService: v4 === undefined || v4 === '0.0.0.0',
    };
  }

  /** Docker brings the interface back to the host's namespace behind this, and ends with DeleteEndpoint. */
  Leave(): Fields {
    return {};
  }

  async ProgramExternalConnectivity(request: Fields): Promise<Fields> {
    const want = portSpecsOf(objectIn(request, 'Options'));
    const endpoint = await this.#engine.endpointInspect(nameOf(request));
    const changes = portChanges(endpoint.ports, want);
    if (!changes) return {};
    await this.#engine.endpointUpdate(endpoint.id, changes);
    return {};
  }

  async RevokeExternalConnectivity(request: Fields): Promise<Fields> {
    const endpoint = await this.#engine.endpointInspect(nameOf(request)).catch(unless('EENDPOINTNOTFOUND'));
    if (!endpoint || endpoint.ports.length === 0) return {};
    await this.#engine.endpointUpdate(endpoint.id, { unpublish: endpoint.ports.map(unpublishSpec) });
    return {};
  }

  /** Other hosts of a swarm are of no interest: networks are this host's. */
  DiscoverNew(): Fields {
    return {};
  }
  DiscoverDelete(): Fields {
    return {};
  }

  /** Attaches, or finds what an earlier call made whose answer was lost. */
  async #attach(network: Network, spec: AttachSpec): Promise<Endpoint> {
    try {
      return (await this.#engine.endpointAttach(spec)).value;
    } catch (error) {
      // its address may be taken because it has it itself
      if (!hasCode(error, 'ENAMETAKEN', 'EADDRTAKEN')) throw error;
      const endpoint = await this.#engine.endpointInspect(spec.name ?? '').catch(unless('EENDPOINTNOTFOUND'));
      if (!endpoint) throw error;
      const addresses = endpoint.addresses.map(withoutLength);
      const same = endpoint.network === network.id && (spec.addresses ?? []).every((text) => addresses.includes(text));
      if (!same) throw error;
      return endpoint;
    }
  }

  async #endpointsOf(network: Network): Promise<Endpoint[]> {
    return (await this.#engine.networkInspect(network.id)).endpoints.filter(isDockers);
  }

  async #find(id: string): Promise<Network | undefined> {
    const known = this.#known.get(id);
    const network = known && (await this.#engine.networkInspect(known).catch(unless('ENETWORKNOTFOUND')));
    if (network) return network;
    const found = (await this.#engine.networkList()).find(({ labels }) => labels[ID_LABEL] === id);
    if (found) this.#known.set(id, found.id);
    return found;
  }

  async #need(id: string): Promise<Network> {
    const network = await this.#find(id);
    if (network) return network;
    throw new NetloomError('ENETWORKNOTFOUND', `netloom has no network of Docker’s ${shortId(id)}`, {
      hint: 'it was removed behind Docker’s back: docker network rm, and create it again',
    });
  }
}

function nameOf(request: Fields): string {
  return `${PREFIX}${needText(request, 'EndpointID')}`;
}
const PREFIX = 'docker:';

function isDockers({ name }: Endpoint): boolean {
  return name?.startsWith(PREFIX) === true;
}

function hasMacs({ options }: Network): boolean {
  return options.driver === 'bridge' || (options.driver === 'macvlan' && options.mode !== 'passthru');
}

const INGRESS = 'netloom.ingress_rate';
const EGRESS = 'netloom.egress_rate';

/**
 * `docker network connect --driver-opt netloom.egress_rate=10mbit`: each stands by itself among what Docker says of an
 * endpoint, unlike a network's. @throws NetloomError EBADOPTION
 */
function ratesOf(options: Fields): Pick<AttachSpec, 'ingressRate' | 'egressRate'> {
  const { [INGRESS]: ingress, [EGRESS]: egress, ...others } = textsOf(options);
  const unknown = Object.keys(others).find((key) => key.startsWith('netloom.'));
  if (unknown !== undefined)
    throw new NetloomError('EBADOPTION', `an endpoint has no option ${unknown}`, {
      hint: `there are ${INGRESS} and ${EGRESS}`,
    });
  return {
    ...(ingress !== undefined && { ingressRate: parseRate(ingress) }),
    ...(egress !== undefined && { egressRate: parseRate(egress) }),
  };
}

/** A handler for errors that mean that there is nothing to do. */
function unless(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!hasCode(error, ...codes)) throw error;
    return undefined;
  };
}
