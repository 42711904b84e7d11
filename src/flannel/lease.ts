import { formatMac, type Ip, makePrefix, parseMac, type Prefix, tryParseIp, tryParsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { Fields } from './json.ts';

/** What a host says of itself below `…/subnets/`. */
export interface FlannelLease {
  /** IPv4 first. */
  readonly prefixes: readonly Prefix[];
  /** Where it is reached: IPv4, and IPv6 where it has told one. */
  readonly addresses: readonly Ip[];
  /** As it is written; `udp` where nothing is. */
  readonly backend: string;
  /** VXLAN's; undefined where it was not told. */
  readonly vni?: number;
  /** Of its end of a VXLAN, lower case. */
  readonly mac?: string;
  /** WireGuard's key, base64, and its port. */
  readonly publicKey?: string;
  readonly port?: number;
}

/** `10.244.3.0-24`, `10.244.3.0-24&fd00:3::-64`; @throws NetloomError EBADFLANNEL */
export function parseLeaseKey(name: string): readonly Prefix[] {
  const [four = '', six, ...rest] = name.split('&');
  const first = prefixOf(four, 4);
  const second = six === undefined ? undefined : prefixOf(six, 6);
  if (!first || rest.length > 0 || (six !== undefined && !second))
    throw new NetloomError('EBADFLANNEL', `${shorten(name)} is no name of a lease`);
  return second ? [first, second] : [first];
}
export function leaseKey(prefixes: readonly Prefix[]): string {
  return prefixes.map(({ address, length }) => `${address.text}-${length}`).join('&');
}

/**
 * Reads one lease. @param name behind `…/subnets/`
 * @throws NetloomError EBADFLANNEL
 */
export function parseLease(name: string, text: string): FlannelLease {
  const prefixes = parseLeaseKey(name);
  const fields = Fields.parse(`lease ${name}`, text);
  const addresses = (['PublicIP', 'PublicIPv6'] as const).flatMap((word, i): Ip[] => {
    const written = fields.text(word);
    if (written === '') return [];
    const ip = tryParseIp(written);
    // who has none writes zeros
    if (ip && ip.family === (i === 0 ? 4 : 6) && ip.value === 0n) return [];
    if (ip && ip.family === (i === 0 ? 4 : 6) && isHost(ip)) return [ip];
    throw fields.bad(`has ${word} "${shorten(written)}", at which no host can be`);
  });
  const backend = fields.text('BackendType', 'udp').toLowerCase() || 'udp';
  const data = fields.has('BackendData') ? fields.object('BackendData') : fields.object('BackendV6Data');
  const vni = data.number('VNI', 0, 2 ** 24 - 1, 0);
  const port = data.number('Port', 0, 65535, 0);
  return {
    ...{ prefixes, addresses, backend },
    ...(vni !== 0 && { vni }),
    ...(port !== 0 && { port }),
    ...macOf(fields, data),
    ...keyOf(data),
  };
}

/** As flannel writes it: its own parser wants `PublicIP`, and takes `PublicIPv6` for told where it is not null. */
export function formatLease(lease: FlannelLease): string {
  const [four, six] = [4, 6].map((family) => lease.addresses.find((ip) => ip.family === family)?.text);
  const { mac, vni, publicKey, port } = lease;
  const data =
    lease.backend === 'vxlan' && mac !== undefined
      ? { VNI: vni ?? 1, VtepMAC: mac }
      : lease.backend === 'wireguard' && publicKey !== undefined
        ? { PublicKey: publicKey, Port: port ?? 0 }
        : undefined;
  const dual = lease.prefixes.some(({ family }) => family === 6);
  return JSON.stringify({
    PublicIP: four ?? '0.0.0.0',
    PublicIPv6: six ?? null,
    // flannel's udp tells no type
    ...(lease.backend !== 'udp' && { BackendType: lease.backend }),
    ...(data && { BackendData: data }),
    ...(data && dual && six !== undefined && { BackendV6Data: data }),
  });
}

function prefixOf(text: string, family: 4 | 6): Prefix | undefined {
  const match = /^([0-9a-f.:]{2,45})-(\d{1,3})$/.exec(text);
  const prefix = match && tryParsePrefix(`${match[1]}/${match[2]}`);
  if (prefix?.family !== family || prefix.first !== prefix.address.value || prefix.length === 0) return undefined;
  return makePrefix(prefix.address, prefix.length);
}

/** Not loopback, not link-local, not a group, not the broadcast address. */
function isHost({ family, value, bytes }: Ip): boolean {
  const [first = 0, second = 0] = bytes;
  if (family === 4) return first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254);
  return value > 1n && first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80);
}

function macOf(fields: Fields, data: Fields): Pick<FlannelLease, 'mac'> {
  const text = data.text('VtepMAC');
  if (text === '') return {};
  try {
    return { mac: formatMac(parseMac(text, { unicast: true })) };
  } catch {
    throw fields.bad(`has VtepMAC "${shorten(text)}", which no interface can have`);
  }
}

function keyOf(data: Fields): Pick<FlannelLease, 'publicKey'> {
  const publicKey = data.text('PublicKey');
  if (publicKey === '') return {};
  if (/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(publicKey)) return { publicKey };
  throw data.bad('is no WireGuard key of 32 bytes');
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
