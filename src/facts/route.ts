import {
  ipMessages,
  linkDump,
  parseLink,
  parseRoute,
  type Route,
  routeAdd,
  routeDelete,
  routeDump,
  type RouteSpec,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, placeOf, quote } from './command.ts';
import { PROTOCOL } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/** A route of the main table. @see ip-route(8) */
export interface RouteFact extends FactBase {
  readonly kind: 'route';
  readonly family: 4 | 6;
  /** `default`, or a prefix in canonical text. */
  readonly dst: string;
  /** Gateway; empty for a directly connected one. */
  readonly via: string;
  readonly dev: string;
}

export const routeKind: FactKind<RouteFact> = {
  key: (fact) => `route ${fact.ns} ${fact.family} ${fact.dst}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [routeAdd(specOf(fact, index(fact.dev)))],
  }),
  change: () => undefined,
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
    return wrong;
  },
  describe: (fact) => `the ${fact.family === 6 ? 'IPv6 ' : ''}route ${fact.dst}${placeOf(fact.ns)}`,
  command(fact, verb) {
    const words = [ipIn(fact.ns)];
    if (fact.family === 6) words.push('-6');
    words.push('route', verb === 'delete' ? 'delete' : 'add', fact.dst);
    if (fact.via !== '') words.push('via', fact.via);
    words.push('dev', quote(fact.dev));
    if (verb !== 'delete') words.push(`proto ${PROTOCOL}`);
    return words.join(' ');
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

function specOf(fact: RouteFact, oif: number): RouteSpec {
  return {
    dst: fact.dst === 'default' ? ANY[fact.family] : fact.dst,
    oif,
    protocol: PROTOCOL,
    ...(fact.via === '' ? {} : { gateway: fact.via }),
  };
}

function factOf(route: Route, ns: string, dev: string): RouteFact {
  return {
    kind: 'route',
    ns,
    object: '',
    family: route.family,
    dst: route.dst === ANY[route.family] ? 'default' : route.dst,
    via: route.gateway,
    dev,
  };
}

const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const;
