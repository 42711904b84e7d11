import { withoutLength } from '../addr/index.ts';
import { hasCode } from '../errors.ts';
import type { AddressPool, EngineApi } from '../model/index.ts';
import { type Fields, needText, objectIn, textIn, textsOf } from './message.ts';

/** moby daemon/libnetwork/ipamapi, netlabel */
const KIND = 'RequestAddressType';
const GATEWAY = 'com.docker.network.gateway';
const MAC = 'com.docker.network.endpoint.macaddress';
/** `--ipam-opt`: the name of a pool that is there, or is to be made. */
const NAME = 'netloom.pool';

/** Docker's address management, on the engine's pools. */
export class IpamDriver {
  readonly #engine: EngineApi;

  constructor(engine: EngineApi) {
    this.#engine = engine;
  }

  /**
   * The hardware address tells who asks: without it an endpoint's request looks like that of an auxiliary address, which
   * has to survive a reboot. Pools do by themselves, so that nothing has to be asked for again when dockerd starts.
   */
  GetCapabilities(): Fields {
    return { RequiresMACAddress: true, RequiresRequestReplay: false };
  }
  GetDefaultAddressSpaces(): Fields {
    return { LocalDefaultAddressSpace: 'netloom', GlobalDefaultAddressSpace: 'netloom-global' };
  }

  async RequestPool(request: Fields): Promise<Fields> {
    const subnet = textIn(request, 'Pool');
    const ipRange = textIn(request, 'SubPool');
    const { [NAME]: name } = textsOf(objectIn(request, 'Options'));
    const pool = await this.#engine.poolCreate({
      ...(name !== undefined && { name }),
      ...(subnet !== '' && { subnet }),
      ...(ipRange !== '' && { ipRange }),
      ...(subnet === '' && request['V6'] === true && { family: 6 as const }),
      // Docker asks for it by itself
      gateway: 'none',
    });
    return { PoolID: pool.id, Pool: pool.subnet, Data: {} };
  }

  async ReleasePool(request: Fields): Promise<Fields> {
    await this.#engine.poolRemove(needText(request, 'PoolID'), { force: true }).catch(ifGone);
    return {};
  }

  async RequestAddress(request: Fields): Promise<Fields> {
    const pool = needText(request, 'PoolID');
    const address = withoutLength(textIn(request, 'Address'));
    const { [KIND]: kind, [MAC]: mac } = textsOf(objectIn(request, 'Options'));
    const fixed = address === '' ? {} : { address };
    const allocated =
      kind === GATEWAY
        ? await this.#engine.addressAllocate({ pool, owner: 'gateway', as: 'gateway', ...fixed })
        : mac === undefined
          ? await this.#engine.addressAllocate({ pool, owner: `docker-${address}`, as: 'auxiliary', ...fixed })
          : await this.#engine.addressAllocate({ pool, owner: `docker:${mac}`, ...fixed });
    return { Address: allocated.address, Data: {} };
  }

  async ReleaseAddress(request: Fields): Promise<Fields> {
    const pool = needText(request, 'PoolID');
    await this.#engine.addressRelease({ pool, address: withoutLength(needText(request, 'Address')) }).catch(ifGone);
    return {};
  }
}

function ifGone(error: unknown): AddressPool | undefined {
  if (!hasCode(error, 'EPOOLNOTFOUND')) throw error;
  return undefined;
}
