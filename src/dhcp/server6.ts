import { parseIp, withoutLength } from '../addr/index.ts';
import { type Dhcp6Message, type Ia6, STATUS6, type Status6, TYPE6 } from './message6.ts';
import type { DhcpAssignment, DhcpOutcome } from './server.ts';

export interface Dhcp6Reply {
  readonly outcome: DhcpOutcome;
  readonly message: Dhcp6Message;
}

/**
 * The answer to a client that we know by its link-layer address; undefined where silence is right. It is given the one
 * address of its assignment, for the first of its identity associations. @param duid our own, hexadecimal
 * @see RFC 8415 section 18.3
 */
export function replyTo6(request: Dhcp6Message, assignment: DhcpAssignment, duid: string): Dhcp6Reply | undefined {
  const { type } = request;
  // section 16: who must name us, and who must not
  const named = request.serverId;
  const asksAnybody = type === TYPE6.SOLICIT || type === TYPE6.CONFIRM || type === TYPE6.REBIND;
  if (
    asksAnybody ? named !== undefined : named !== duid && (named !== undefined || type !== TYPE6.INFORMATION_REQUEST)
  ) {
    return undefined;
  }
  if (request.clientId === undefined && type !== TYPE6.INFORMATION_REQUEST) return undefined;
  const address = assignment.address6 === undefined ? undefined : parseIp(withoutLength(assignment.address6)).text;
  if (address === undefined && type !== TYPE6.INFORMATION_REQUEST) return undefined;
  const reply = (more: Partial<Dhcp6Message>): Dhcp6Message => ({
    type: TYPE6.REPLY,
    xid: request.xid,
    ...(request.clientId === undefined ? {} : { clientId: request.clientId }),
    serverId: duid,
    ias: [],
    wanted: [],
    rapidCommit: false,
    dns: assignment.dns.filter((server) => server.includes(':')),
    search: assignment.search,
    ...more,
  });
  const bare = { dns: [], search: [] };
  switch (type) {
    case TYPE6.SOLICIT:
    case TYPE6.REQUEST:
    case TYPE6.RENEW:
    case TYPE6.REBIND: {
      if (request.ias.length === 0) return undefined;
      const ias = request.ias.map((ia, i) => given(ia, i === 0 ? address! : undefined, assignment.leaseSeconds));
      const offers = type === TYPE6.SOLICIT && !request.rapidCommit;
      const how = offers ? { type: TYPE6.ADVERTISE } : { rapidCommit: type === TYPE6.SOLICIT };
      return { outcome: offers ? 'offer' : 'ack', message: reply({ ias, ...how }) };
    }
    case TYPE6.CONFIRM: {
      const asked = request.ias.flatMap((ia) => ia.addresses);
      if (asked.length === 0) return undefined;
      const right = asked.every((one) => one.address === address);
      const status = right ? SUCCESS : { code: STATUS6.NOT_ON_LINK, text: 'not the address of this machine' };
      return { outcome: right ? 'ack' : 'nak', message: reply({ ...bare, status }) };
    }
    case TYPE6.RELEASE:
      return { outcome: 'released', message: reply({ ...bare, status: SUCCESS }) };
    case TYPE6.DECLINE:
      return { outcome: 'declined', message: reply({ ...bare, status: SUCCESS }) };
    case TYPE6.INFORMATION_REQUEST:
      return { outcome: 'inform', message: reply({}) };
    default:
      return undefined;
  }
}

/** The address, for as long as the lease; what else the client thinks it has there ends now. */
function given(ia: Ia6, address: string | undefined, seconds: number): Ia6 {
  if (address === undefined) {
    return {
      iaid: ia.iaid,
      t1: 0,
      t2: 0,
      addresses: [],
      status: { code: STATUS6.NO_ADDRS, text: 'one address a machine' },
    };
  }
  const forever = seconds >= 0xffff_ffff;
  const lifetime = forever ? 0xffff_ffff : seconds;
  const void_ = ia.addresses.filter((one) => one.address !== address);
  return {
    iaid: ia.iaid,
    // section 14.2 of RFC 8415 suggests a half and four fifths
    t1: forever ? lifetime : Math.floor(seconds * 0.5),
    t2: forever ? lifetime : Math.floor(seconds * 0.8),
    addresses: [
      { address, preferred: lifetime, valid: lifetime },
      ...void_.map((one) => ({ address: one.address, preferred: 0, valid: 0 })),
    ],
  };
}

const SUCCESS: Status6 = { code: STATUS6.SUCCESS, text: '' };
