import { formatMac, ifName, parseIp, parseMac } from '../addr/index.ts';
import type { Ip } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { AttachSpec, EndpointSpec } from './container.ts';
import { checkLabel, within } from './names.ts';
import { checkPorts } from './publish.ts';
import { parseTuning } from './validate-tuning.ts';

/**
 * Checks a wanted endpoint and makes its texts canonical. Whether the addresses are inside the network is the
 * allocator's to say. @param several more than one address of a family @throws NetloomError EBADNAME, EBADADDRESS, EBADMAC, EBADIFNAME, EBADOPTION
 */
export function parseEndpointSpec(spec: EndpointSpec, several = false): EndpointSpec {
  if (typeof spec.network !== 'string' || spec.network === '')
    throw new NetloomError('EBADNAME', 'an endpoint needs its network’s name or id');
  return within(`network ${spec.network}`, () => ({
    network: spec.network,
    ...(spec.addresses && { addresses: parseFixed(spec.addresses, several) }),
    ...(spec.mac !== undefined && { mac: formatMac(parseMac(spec.mac, { unicast: true })) }),
    ...(spec.aliases && { aliases: spec.aliases.map(checkAlias) }),
    ...(spec.ifname !== undefined && { ifname: checkInsideName(spec.ifname) }),
    ...(spec.gatewayPriority !== undefined && { gatewayPriority: checkPriority(spec.gatewayPriority) }),
    ...(spec.ingressRate !== undefined && { ingressRate: checkRate('ingress', spec.ingressRate) }),
    ...(spec.egressRate !== undefined && { egressRate: checkRate('egress', spec.egressRate) }),
  }));
}

/** Several endpoints of one namespace: no network, interface name or MAC address twice. */
export function parseEndpointSpecs(specs: readonly EndpointSpec[]): EndpointSpec[] {
  const parsed = specs.map((spec) => parseEndpointSpec(spec));
  for (const [what, of] of [
    ['network', (spec: EndpointSpec) => spec.network],
    ['interface name', (spec: EndpointSpec) => spec.ifname],
    ['MAC address', (spec: EndpointSpec) => spec.mac],
  ] as const) {
    const seen = new Set<string>();
    for (const spec of parsed) {
      const value = of(spec);
      if (value === undefined) continue;
      if (seen.has(value)) throw new NetloomError('EBADOPTION', `${what} ${value} is given twice: give it once`);
      seen.add(value);
    }
  }
  return parsed;
}

/** @throws what `parseEndpointSpec` does; EBADNETNS, EBADPORT */
export function parseAttachSpec(spec: AttachSpec): AttachSpec {
  const tap = spec.tap === true;
  if (tap && spec.netns !== '') {
    throw new NetloomError('EBADNETNS', `a tap lives in the host’s namespace: leave out "${spec.netns}"`);
  }
  if (spec.handOver === true && (tap || spec.netns !== '')) {
    throw new NetloomError('EBADNETNS', 'what is handed over is born in the host’s namespace: leave out netns and tap');
  }
  if (!tap && spec.handOver !== true && !/^\/[^\0]*$/.test(spec.netns ?? '')) {
    throw new NetloomError(
      'EBADNETNS',
      `"${spec.netns}" is no path of a namespace: write a whole one, such as /run/netns/web`,
    );
  }
  if (tap && spec.tuning)
    throw new NetloomError(
      'EBADOPTION',
      'what is behind a tap is a machine that configures itself: leave the tuning out',
    );
  if (spec.tapUid !== undefined && !tap) throw new NetloomError('EBADOPTION', 'only a tap has a user who may open it');
  return {
    ...parseEndpointSpec(spec, spec.exact),
    netns: spec.netns,
    ...(spec.name !== undefined && { name: checkLabel('an endpoint', spec.name) }),
    ...(spec.request !== undefined && { request: checkRequest(spec) }),
    ...(tap && { tap }),
    ...(spec.handOver === true && { handOver: true }),
    ...(spec.tapUid !== undefined && { tapUid: checkUid(spec.tapUid) }),
    ...(spec.ports && { ports: checkPorts(spec.ports) }),
    ...(spec.upstreams && spec.upstreams.length > 0 && { upstreams: parseUpstreams(spec.upstreams) }),
    ...(spec.exact && { exact: true }),
    ...(spec.tuning && { tuning: parseTuning(spec.tuning) }),
  };
}

/** Servers that a resolver asks. @throws NetloomError EBADADDRESS */
export function parseUpstreams(texts: readonly string[]): string[] {
  return texts.map((text) => within('DNS server', () => parseIp(text).text));
}

function checkRequest({ request = '', name }: AttachSpec): string {
  if (name === undefined) throw new NetloomError('EBADOPTION', 'a request is asked again by its name: give one');
  if (/^[0-9a-f]{1,64}$/.test(request)) return request;
  throw new NetloomError('EBADOPTION', `${JSON.stringify(request.slice(0, 80))} is no request`, {
    hint: '64 hexadecimal digits at most',
  });
}

/** uid_t; its last value means "nobody in particular". */
function checkUid(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value < 0xffffffff) return value;
  throw new NetloomError('EBADOPTION', `user ${value} of the tap: write a number, such as 1000`);
}

/** At most one of each family, or `several`; IPv4 first. */
function parseFixed(texts: readonly string[], several: boolean): string[] {
  const addresses = texts.map((text) => checkHost(parseIp(text)));
  addresses.sort((a, b) => a.family - b.family);
  for (const [i, address] of addresses.entries()) {
    const next = addresses[i + 1];
    if (several ? next?.text === address.text : next?.family === address.family) {
      throw new NetloomError(
        'EBADADDRESS',
        `two fixed IPv${address.family} addresses (${address.text}, ${next?.text}): give one`,
      );
    }
  }
  return addresses.map(({ text }) => text);
}

function checkHost(ip: Ip): Ip {
  const first = ip.bytes[0]!;
  const what =
    ip.value === 0n
      ? 'the unspecified address'
      : ip.family === 4
        ? first === 127
          ? 'a loopback address'
          : first >= 224
            ? 'a multicast or reserved address'
            : ''
        : ip.value === 1n
          ? 'the loopback address'
          : first === 0xff
            ? 'a multicast address'
            : '';
  if (what !== '')
    throw new NetloomError('EBADADDRESS', `${ip.text} is ${what}: choose one inside the network’s subnet`);
  return ip;
}

/** A name that DNS can answer for; underscores are allowed, as Compose's service names have them. */
function checkAlias(alias: string): string {
  if (!/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_])?$/.test(alias)) {
    throw new NetloomError(
      'EBADNAME',
      `"${alias}" cannot be an alias: use letters, digits, "_", "." and "-", at most 253`,
    );
  }
  return alias;
}

function checkInsideName(text: string): string {
  if (text === 'lo')
    throw new NetloomError(
      'EBADIFNAME',
      '"lo" is the loopback interface of every namespace: choose another interface name',
    );
  return ifName(text);
}

/** Bits per second; 0 takes the limit away. @throws NetloomError EBADOPTION */
export function checkRate(direction: 'ingress' | 'egress', rate: number): number {
  if (Number.isInteger(rate) && (rate === 0 || (rate >= RATE_MIN && rate <= RATE_MAX))) return rate;
  throw new NetloomError(
    'EBADOPTION',
    `${direction} rate ${rate}: write whole bits per second, ${RATE_MIN} to ${RATE_MAX}, or 0 for no limit`,
  );
}
/** Below this, one packet would take more than a second. */
const RATE_MIN = 8_000;
const RATE_MAX = 1_000_000_000_000;

function checkPriority(value: number): number {
  if (!Number.isInteger(value) || Math.abs(value) > 0x7fffffff) {
    throw new NetloomError('EBADOPTION', `gateway priority ${value}: write a whole number`);
  }
  return value;
}
