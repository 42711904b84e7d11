import { isIfName, network, parseIp, parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { EndpointRoute, EndpointTuning } from './container.ts';
import { within } from './names.ts';

/** Routes and parameters of one endpoint at most. */
const MOST = 256;
const U32 = 0xffff_ffff;
/** Bits: what the kernel's bucket holds, 4 GB less one half. @see tc-tbf(8) */
const BURST_MAX = 8 * 0x7fff_ffff;

/** Checks what is to be set of an endpoint, and makes its texts canonical. @throws NetloomError EBADOPTION, EBADADDRESS, EBADSUBNET */
export function parseTuning(tuning: EndpointTuning): EndpointTuning {
  const { sysctls = {}, routes = [], promisc, allmulti, mtu, txQueueLength, sourceRoutes, defaultRoute } = tuning;
  const { ingressBurst, egressBurst } = tuning;
  for (const [what, count] of [
    ['parameters', Object.keys(sysctls).length],
    ['routes', routes.length],
  ] as const) {
    if (count > MOST) throw bad(`${count} ${what} for one endpoint: ${MOST} at most`);
  }
  const parsed = routes.map((route) => within(`route ${route.dst}`, () => parseRoute(route)));
  const seen = new Set<string>();
  for (const { dst, table = MAIN, priority = 0 } of parsed) {
    const key = `${dst} in table ${table} with priority ${priority}`;
    if (seen.has(key)) throw bad(`the route ${key} is given twice: give it once`);
    seen.add(key);
  }
  return {
    ...(Object.keys(sysctls).length > 0 && {
      sysctls: Object.fromEntries(Object.entries(sysctls).map(([key, value]) => [key, checkSysctl(key, value)])),
    }),
    ...(promisc !== undefined && { promisc }),
    ...(allmulti !== undefined && { allmulti }),
    ...(mtu !== undefined && { mtu: whole('mtu', mtu, 68, 65_535) }),
    ...(txQueueLength !== undefined && { txQueueLength: whole('length of the queue', txQueueLength, 0, 1_000_000) }),
    ...(parsed.length > 0 && { routes: parsed }),
    ...(sourceRoutes && { sourceRoutes }),
    ...(defaultRoute === false && { defaultRoute }),
    ...(ingressBurst !== undefined && { ingressBurst: whole('ingress burst', ingressBurst, 1, BURST_MAX) }),
    ...(egressBurst !== undefined && { egressBurst: whole('egress burst', egressBurst, 1, BURST_MAX) }),
  };
}

/** linux/rtnetlink.h RT_TABLE_*: local is the kernel's own. */
const MAIN = 254;
const LOCAL = 255;

function parseRoute(route: EndpointRoute): EndpointRoute {
  const dst = network(parsePrefix(route.dst));
  const gateway = route.gateway === undefined || route.gateway === '' ? undefined : parseIp(route.gateway);
  if (gateway && (gateway.family !== dst.family || gateway.value === 0n)) {
    throw bad(`its gateway ${gateway.text} is no address of a router of that family`);
  }
  const { mtu, advmss, scope } = route;
  // what the kernel takes for granted is not said, so that two routes that are the same are written the same
  const table = route.table === MAIN || route.table === 0 ? undefined : route.table;
  const priority = route.priority === (dst.family === 4 ? 0 : 1024) ? undefined : route.priority;
  if (table === LOCAL) throw bad('the table 255 is the kernel’s own: choose another');
  if (dst.length === 0 && table === undefined && priority === undefined) {
    throw bad('the default route is the network’s gateway: give this one a table or a priority', {
      hint: 'which of several networks has the default route, the gateway priority says',
    });
  }
  if (scope !== undefined && dst.family === 6) throw bad('a scope is for IPv4: leave it out');
  return {
    dst: dst.text,
    ...(gateway && { gateway: gateway.text }),
    ...(mtu !== undefined && { mtu: whole('mtu', mtu, 68, 65_535) }),
    ...(advmss !== undefined && { advmss: whole('advmss', advmss, 1, 65_535) }),
    ...(priority !== undefined && { priority: whole('priority', priority, 0, U32) }),
    ...(table !== undefined && { table: whole('table', table, 1, U32) }),
    ...(scope !== undefined && { scope: whole('scope', scope, 0, 254) }),
  };
}

/** A parameter of a network namespace: whatever else is below /proc/sys is the machine's. */
function checkSysctl(key: string, value: unknown): string {
  const separator = /[./]/.exec(key)?.[0] ?? '.';
  const parts = key.split(separator);
  const right =
    key.length <= 255 &&
    parts[0] === 'net' &&
    parts.length > 1 &&
    parts.every(
      (part) => /^[a-zA-Z0-9_:@+/.-]+$/.test(part) && part !== '.' && part !== '..' && !/^\/|\/\/|\/$/.test(part),
    );
  if (!right) {
    throw bad(`${JSON.stringify(key.slice(0, 80))} is no parameter of a network namespace`, {
      hint: 'write it as sysctl(8) does, below net: net.core.somaxconn, net.ipv4.conf.IFNAME.arp_notify',
    });
  }
  // eslint-disable-next-line no-control-regex
  if (typeof value !== 'string' || value === '' || value.length > 1024 || /[\0-\x08\x0a-\x1f\x7f]/.test(value))
    throw bad(`the value of ${key} is no text of one line`);
  return value;
}

/** A sysctl's name with the interface in the place of `IFNAME`, dots in that written as sysctl(8) has them. */
export function sysctlName(key: string, ifname: string): { readonly name: string; readonly ofLink: boolean } {
  const separator = /[./]/.exec(key)?.[0] ?? '.';
  const parts = key.split(separator);
  const name = separator === '.' ? ifname.replaceAll('.', '/') : ifname;
  const named = parts.map((part) => (part === 'IFNAME' ? name : part));
  return { name: named.join(separator), ofLink: isIfName(ifname) && named.includes(name) };
}

function whole(what: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw bad(`${what} ${String(value)}: write a whole number from ${least} to ${most}`);
}

function bad(message: string, options?: { hint: string }): NetloomError {
  return new NetloomError('EBADOPTION', message, options);
}
