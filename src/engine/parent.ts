import { IFNAME_MAX } from '../addr/index.ts';
import { parentOf } from '../drivers/index.ts';
import { NetloomError } from '../errors.ts';
import { isOurGroup } from '../facts/index.ts';
import { type IpvlanOptions, type MacvlanOptions, nearest, type Network, splitVlan } from '../model/index.ts';
import type { Link } from '../rtnetlink/index.ts';
import type { HostView } from './host.ts';

/** linux/if_arp.h ARPHRD_ETHER */
const ETHERNET = 1;
/** linux/if.h IFF_LOOPBACK */
const LOOPBACK = 0x8;

/**
 * Finds the interface that a network's endpoints are to be on top of, and settles whose its VLAN is: one that is there
 * without us is used as it is and left alone; any other we make, and share between networks.
 * @throws NetloomError EBADPARENT where it is missing or cannot carry endpoints, EPARENTBUSY where another network has it
 */
export function settleParent<O extends MacvlanOptions | IpvlanOptions>(
  network: Pick<Network, 'id'>,
  options: O,
  host: Pick<HostView, 'links'>,
  others: readonly Network[],
): O {
  if (options.parent === '') return options;
  const settled: O = { ...options, ...locate(options, host.links) };
  const link = host.links.find((each) => each.name === settled.parent);
  if (link) requireUsable(link, host.links, options.driver);
  if (link && settled.mtu > link.mtu) {
    throw new NetloomError(
      'EBADOPTION',
      `option mtu=${settled.mtu}: the parent ${settled.parent} carries ${link.mtu} bytes`,
      { hint: 'leave it out to take the parent’s' },
    );
  }
  requireFree(parentOf(network, settled), settled, others);
  return settled;
}

/** By name; `eth0.50`, where there is no such interface or it is ours, is VLAN 50 of eth0. */
function locate(
  { parent, vlan }: MacvlanOptions | IpvlanOptions,
  links: readonly Link[],
): { readonly parent: string; readonly vlan: number } {
  const named = links.find((link) => link.name === parent);
  const split = named && !isOurVlan(named) ? undefined : splitVlan(parent);
  if (split && vlan !== 0 && vlan !== split.vlan) {
    throw new NetloomError('EBADOPTION', `options parent=${parent} and vlan=${vlan} name two VLANs: give one`);
  }
  const base = split && links.find((link) => link.name === split.parent);
  const below = base ?? named;
  if (!below) {
    const missing = split?.parent ?? parent;
    const near = nearest(
      missing,
      links.map((link) => link.name),
    );
    throw new NetloomError(
      'EBADPARENT',
      `there is no interface "${missing}" on the host${near === undefined ? '' : `; did you mean "${near}"?`}`,
      { hint: 'ip link shows those there are' },
    );
  }
  const id = split?.vlan ?? vlan;
  if (id === 0) return { parent, vlan: 0 };
  return vlanOf(below, id, links);
}

function vlanOf(parent: Link, id: number, links: readonly Link[]): { readonly parent: string; readonly vlan: number } {
  const there = links.find(
    ({ info, link, linkNetnsid }) =>
      info?.kind === 'vlan' && info.id === id && link === parent.index && linkNetnsid === undefined,
  );
  if (there && !isOurVlan(there)) return { parent: there.name, vlan: 0 };
  const name = `${parent.name}.${id}`;
  if (name.length > IFNAME_MAX) {
    throw new NetloomError(
      'EBADPARENT',
      `VLAN ${id} of ${parent.name} would be the interface ${name}, which is longer than the ${IFNAME_MAX} bytes that Linux takes`,
      { hint: `make it yourself under a shorter name (ip link add link ${parent.name} name NAME type vlan id ${id})` },
    );
  }
  if (!there && links.some((link) => link.name === name)) {
    throw new NetloomError('EBADPARENT', `the interface ${name} is there, and is not VLAN ${id} of ${parent.name}`, {
      hint: 'rename it, or give it as the parent without a VLAN',
    });
  }
  return { parent: parent.name, vlan: id };
}

function isOurVlan(link: Link): boolean {
  return isOurGroup(link.group) && link.info?.kind === 'vlan';
}

function requireUsable(link: Link, links: readonly Link[], driver: string): void {
  const master = links.find((each) => each.index === link.master);
  const refuse = (why: string, hint: string): never => {
    throw new NetloomError('EBADPARENT', `${link.name} cannot carry ${driver} endpoints: ${why}`, { hint });
  };
  if ((link.flags & LOOPBACK) !== 0) refuse('it is a loopback interface', 'give an interface of the segment');
  if (isOurGroup(link.group)) refuse('it is netloom’s own', 'give an interface of the segment');
  if (master?.info?.kind === 'bridge') {
    refuse(`it is a port of the bridge ${master.name}`, `give ${master.name}, or take it out of the bridge`);
  }
  if (link.type !== ETHERNET) refuse('it carries no Ethernet', 'give an interface of the segment');
  if (!link.up) refuse('it is down', `ip link set ${link.name} up`);
}

/** The kernel gives an interface to one of macvlan and ipvlan, keeps one mode of ipvlan for all, and passthru to one. */
function requireFree(name: string, options: MacvlanOptions | IpvlanOptions, others: readonly Network[]): void {
  for (const other of others) {
    const theirs = other.options;
    if (theirs.driver !== 'macvlan' && theirs.driver !== 'ipvlan') continue;
    if (parentOf(other, theirs) !== name) continue;
    const why =
      theirs.driver !== options.driver
        ? `the kernel gives an interface to macvlan or to ipvlan`
        : theirs.driver === 'ipvlan' && options.driver === 'ipvlan'
          ? theirs.mode !== options.mode || theirs.flag !== options.flag
            ? `all of ipvlan on one interface has one mode and flag, there ${theirs.mode} and ${theirs.flag}`
            : ''
          : theirs.mode === 'passthru' || options.mode === 'passthru'
            ? 'an interface in mode passthru has one endpoint alone'
            : '';
    if (why !== '') {
      throw new NetloomError(
        'EPARENTBUSY',
        `${name} is the parent of network "${other.name}" (${theirs.driver}): ${why}`,
        {
          hint: 'give another interface, or a VLAN of this one',
        },
      );
    }
  }
}
