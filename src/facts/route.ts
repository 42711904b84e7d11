import { parseIp } from '../addr/index.ts';
import {
  ipMessages,
  linkDump,
  parseLink,
  parseRoute,
  type Route,
  RT_TABLE,
  routeAdd,
  routeDelete,
  routeReplace,
  routeDump,
  type RouteSpec,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, placeOf, quote } from './command.ts';
import { PROTOCOL } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/** A route; what is missing is as ip-route(8) has it by itself. */
export interface RouteFact extends FactBase {
  readonly kind: 'route';
  readonly family: 4 | 6;
  /** `default`, or a prefix in canonical text. */
  readonly dst: string;
  /** Gateway; empty for a directly connected one. One of IPv6 may be an IPv4 route's (RTA_VIA, since Linux 5.2). */
  readonly via: string;
  readonly dev: string;
  /** The gateway is behind `dev`, whatever the host's addresses say. */
  readonly onlink?: boolean;
  /** Missing: the main table. */
  readonly table?: number;
  /** Lower wins; missing: 0 for IPv4, 1024 for IPv6. */
  readonly metric?: number;
  /** RT_SCOPE.*, IPv4 only; missing: link without a gateway, else universe. */
  readonly scope?: number;
  /** Bytes. */
  readonly mtu?: number;
  readonly advmss?: number;
}

export const routeKind: FactKind<RouteFact> = {
  key(fact) {
    const { ns, family, dst, table, metric } = fact;
    const rest = `${table === undefined ? '' : ` table ${table}`}${metric === undefined ? '' : ` metric ${metric}`}`;
    return `route ${ns} ${family} ${dst}${rest}`;
  },
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [routeAdd(specOf(fact, index(fact.dev)))],
  }),
  // In one step: packets find the one or the other. Of IPv6, what is onlink is refused while another route leads to its
  // gateway, as the old one may (net/ipv6/route.c ip6_route_check_nh_onlink): that one goes just before.
  change: (want, have) => {
    const again = goesFirst(want);
    return {
      via: 'rtnetlink',
      ns: want.ns,
      needs: again ? [want.dev, have.dev] : [want.dev],
      requests: (index) =>
        again
          ? [routeDelete(specOf(have, index(have.dev))), routeAdd(specOf(want, index(want.dev)))]
          : [routeReplace(specOf(want, index(want.dev)))],
    };
  },
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [routeDelete(specOf(fact, index(fact.dev)))],
  }),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    return ipMessages(await conn.execute(routeDump()))
      .map(parseRoute)
      .filter((route) => route.protocol === PROTOCOL)
      .map((route) => factOf(route, ns, names.get(route.oif) ?? ''));
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.via !== have.via) wrong.push('via');
    if (want.dev !== have.dev) wrong.push('dev');
    if ((want.onlink ?? false) !== (have.onlink ?? false)) wrong.push('onlink');
    if (want.mtu !== have.mtu) wrong.push('mtu');
    if (want.advmss !== have.advmss) wrong.push('advmss');
    if (want.scope !== undefined && want.scope !== have.scope) wrong.push('scope');
    return wrong;
  },
  describe(fact) {
    const table = fact.table === undefined ? '' : ` of table ${fact.table}`;
    return `the ${fact.family === 6 ? 'IPv6 ' : ''}route ${fact.dst}${table}${placeOf(fact.ns)}`;
  },
  command(fact, verb) {
    if (verb === 'change' && goesFirst(fact)) {
      const table = fact.table === undefined ? '' : ` table ${fact.table}`;
      const metric = fact.metric === undefined ? '' : ` metric ${fact.metric}`;
      const old = `${ipIn(fact.ns)} -6 route delete ${fact.dst}${table}${metric}`;
      return `${old} && ${routeKind.command(fact, 'add')}`;
    }
    const words = [ipIn(fact.ns)];
    if (fact.family === 6) words.push('-6');
    words.push('route', WORDS[verb], fact.dst);
    if (fact.via !== '') words.push('via', ...(parseIp(fact.via).family === fact.family ? [] : ['inet6']), fact.via);
    words.push('dev', quote(fact.dev));
    if (fact.onlink === true && verb !== 'delete') words.push('onlink');
    if (fact.table !== undefined) words.push(`table ${fact.table}`);
    if (fact.metric !== undefined) words.push(`metric ${fact.metric}`);
    if (verb === 'delete') return words.join(' ');
    if (fact.scope !== undefined) words.push(`scope ${fact.scope}`);
    if (fact.mtu !== undefined) words.push(`mtu ${fact.mtu}`);
    if (fact.advmss !== undefined) words.push(`advmss ${fact.advmss}`);
    return [...words, `proto ${PROTOCOL}`].join(' ');
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

/** Whether the route in whose stead it comes must go before. */
function goesFirst({ family, onlink }: RouteFact): boolean {
  return family === 6 && onlink === true;
}

const WORDS = { add: 'add', change: 'replace', delete: 'delete' } as const;

function specOf(fact: RouteFact, oif: number): RouteSpec {
  const { family, dst, via, onlink, table, metric, scope, mtu, advmss } = fact;
  return {
    dst: dst === 'default' ? ANY[family] : dst,
    oif,
    protocol: PROTOCOL,
    ...(via === '' ? {} : { gateway: via }),
    ...(onlink === true && { onlink }),
    ...(table !== undefined && { table }),
    ...(metric !== undefined && { metric }),
    ...(scope !== undefined && { scope }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advmss }),
  };
}

function factOf(route: Route, ns: string, dev: string): RouteFact {
  const { family, dst, gateway, onlink, table, metric, scope, mtu, advmss } = route;
  return {
    kind: 'route',
    ns,
    object: '',
    family,
    dst: dst === ANY[family] ? 'default' : dst,
    via: gateway,
    dev,
    ...(onlink && { onlink }),
    ...(table !== RT_TABLE.MAIN && { table }),
    ...(metric !== USUAL_METRIC[family] && { metric }),
    ...(family === 4 && { scope }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advmss }),
  };
}

const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const;
/** What the kernel gives a route that says nothing. linux/ipv6_route.h IP6_RT_PRIO_USER */
const USUAL_METRIC = { 4: 0, 6: 1024 } as const;
