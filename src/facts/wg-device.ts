import { readKeyOf } from '../keys/index.ts';
import { linkDump, parseLink } from '../rtnetlink/index.ts';
import { parseWgDevice, type WgDevice, wgGet, wireguardFamily, wgSet, type WgDeviceSpec } from '../wireguard/index.ts';
import { NetlinkError } from '../netlink/index.ts';
import { linkKeys } from './address.ts';
import { placeOf, quote, runIn } from './command.ts';
import { isOurs } from './link.ts';
import type { FactBase, FactKind, KernelView, NetlinkStep } from './types.ts';

/**
 * What a WireGuard interface is set to. Ours as its link is. The private key is in a file: it is read at the moment that the
 * kernel is told, and is in no fact, plan or error. @see wg(8)
 */
export interface WgDeviceFact extends FactBase {
  readonly kind: 'wg-device';
  readonly dev: string;
  /** Path of the private key, in base64; empty in one that was read. */
  readonly keyFile: string;
  /** In base64: that of the key file, as others were told. */
  readonly publicKey: string;
  /** UDP port it listens at. */
  readonly port: number;
}

export const wgDeviceKind: FactKind<WgDeviceFact> = {
  key: (fact) => `wg-device ${fact.ns} ${fact.dev}`,
  add: (fact) => settingStep(fact),
  change: (want) => settingStep(want),
  delete: (fact) => wgStep(fact.ns, fact.dev, () => ({ name: fact.dev, privateKey: '', port: 0 })),
  async read(kernel, ns) {
    const devices = await ourDevices(kernel, ns);
    return devices.flatMap(({ name, publicKey, port }): WgDeviceFact[] =>
      publicKey === undefined ? [] : [{ kind: 'wg-device', ns, object: '', dev: name, keyFile: '', publicKey, port }],
    );
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.publicKey !== have.publicKey) wrong.push('private-key');
    if (want.port !== have.port) wrong.push('listen-port');
    return wrong;
  },
  describe: (fact) => `the WireGuard interface ${fact.dev}${placeOf(fact.ns)}`,
  command({ ns, dev, keyFile, port }, verb) {
    const words =
      verb === 'delete' ? 'private-key /dev/null listen-port 0' : `private-key ${quote(keyFile)} listen-port ${port}`;
    return runIn(ns, `wg set ${quote(dev)} ${words}`);
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

function settingStep(fact: WgDeviceFact): NetlinkStep {
  const { ns, dev, keyFile, publicKey, port } = fact;
  return wgStep(ns, dev, () => ({ name: dev, privateKey: readKeyOf(keyFile, publicKey), port }));
}

/** Sets a WireGuard interface. @param spec is asked for when it is about to be sent */
export function wgStep(ns: string, dev: string, spec: () => WgDeviceSpec): NetlinkStep {
  let family = 0;
  let what: WgDeviceSpec = { name: dev };
  return {
    via: 'genetlink',
    ns,
    needs: [dev],
    async prepare(kernel) {
      family = (await wireguardFamily(kernel.genetlink(ns))).id;
      what = spec();
    },
    requests: () => wgSet(family, what),
  };
}

/** Every WireGuard interface in a namespace whose link is ours, with its peers. */
export async function ourDevices(kernel: KernelView, ns: string): Promise<WgDevice[]> {
  const links = (await kernel.rtnl(ns).execute(linkDump())).map(parseLink);
  const names = links.filter((link) => isOurs(link) && link.info?.kind === 'wireguard').map((link) => link.name);
  if (names.length === 0) return [];
  const conn = kernel.genetlink(ns);
  const { id } = await wireguardFamily(conn);
  const devices: WgDevice[] = [];
  for (const name of names) {
    try {
      devices.push(parseWgDevice(await conn.execute(wgGet(id, name))));
    } catch (error) {
      // gone in the meantime, or another has its name
      if (!(error instanceof NetlinkError) || !['ENODEV', 'EOPNOTSUPP'].includes(error.code)) throw error;
    }
  }
  return devices;
}
