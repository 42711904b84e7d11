import { strict as assert } from 'node:assert';
import { messagesOf, NETLINK, NetlinkConn, NlWriter } from '../../src/netlink/index.ts';
import { linkAdd, linkDump, parseLink } from '../../src/rtnetlink/index.ts';
import { makeHost } from '../../test/lib/host.ts';
import { paired, type Result } from '../lib/measure.ts';

const BATCH = 20_000;

/**
 * The RTM_NEWLINK of a veth pair, written as an attach sends it and read as the kernel tells it. The reference does the
 * same by a DataView and hand-counted lengths, nothing checked, and reads no more than the four values that are
 * compared: what no general codec can beat.
 */
export async function codec(): Promise<Result[]> {
  const written = Buffer.from(encode(0));
  assert.deepEqual(Buffer.from(encodeByHand(0)), written, 'both write the same bytes');

  const told = await fromKernel();
  const [link] = readAll(told);
  assert.equal(link?.name, 'eth0');
  const { name, mtu, master, group } = link;
  assert.deepEqual({ name, mtu, master, group }, decodeByHand(told), 'both read the same values');

  const common = { unit: 'messages/s', rounds: 25 };
  return [
    await paired({
      name: 'codec/encode',
      ...common,
      ours: () => rate((i) => encode(i).length),
      reference: () => rate((i) => encodeByHand(i).length),
    }),
    await paired({
      name: 'codec/decode',
      ...common,
      ours: () => rate(() => readAll(told)[0]!.mtu),
      reference: () => rate(() => decodeByHand(told).mtu),
    }),
  ];
}

/** Calls a second. What comes of the calls is used, so that none is left out. */
function rate(call: (i: number) => number): number {
  let used = 0;
  const start = performance.now();
  for (let i = 0; i < BATCH; i++) used += call(i);
  const seconds = (performance.now() - start) / 1000;
  assert.ok(used > 0);
  return BATCH / seconds;
}

/** One whole message about a veth, as the running kernel writes it. */
async function fromKernel(): Promise<Uint8Array> {
  await using host = await makeHost();
  using conn = NetlinkConn.open(NETLINK.ROUTE, host.netns);
  const messages = conn.executeSync(linkDump({ kind: 'veth' }));
  const payload = messages[0]!.payload;
  const writer = new NlWriter().message(messages[0]!.type, 0, 1).rawBytes(payload);
  return Buffer.from(writer.finish());
}

function readAll(bytes: Uint8Array): ReturnType<typeof parseLink>[] {
  const links = [];
  for (const message of messagesOf(bytes)) links.push(parseLink(message));
  return links;
}

const NAME = 'nl0123456789';
const PEER = 'eth0';
const MASTER = 7;
const MTU = 1450;
const GROUP = 0x6e6c;
const NETNS = 42;

const writer = new NlWriter(512);
function encode(seq: number): Uint8Array {
  const info = { kind: 'veth', peer: { name: PEER, netns: NETNS } } as const;
  const request = linkAdd({ name: NAME, up: true, mtu: MTU, master: MASTER, group: GROUP, info });
  writer.reset().message(request.type, request.flags | NLM_F_REQUEST, seq);
  request.body(writer);
  return writer.finish();
}

// ---- by hand: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/veth.h ----

const NLM_F_REQUEST = 1;
const RTM_NEWLINK = 16;
const IFLA = { IFNAME: 3, MTU: 4, MASTER: 10, LINKINFO: 18, GROUP: 27, NET_NS_FD: 28 } as const;

const bytes = new Uint8Array(512);
const view = new DataView(bytes.buffer);
const ascii = new TextEncoder();

function encodeByHand(seq: number): Uint8Array {
  bytes.fill(0, 0, 192);
  view.setUint16(4, RTM_NEWLINK, true);
  view.setUint16(6, NLM_F_REQUEST | 0x600, true); // NLM_F_CREATE | NLM_F_EXCL
  view.setUint32(8, seq, true);
  view.setUint32(24, 1, true); // ifi_flags: IFF_UP
  view.setUint32(28, 1, true); // ifi_change
  let at = 32;
  at = number(at, IFLA.MTU, MTU);
  at = number(at, IFLA.MASTER, MASTER);
  at = number(at, IFLA.GROUP, GROUP);
  at = text(at, IFLA.IFNAME, NAME, 1);
  const info = at;
  at = text(at + 4, 1, 'veth', 0); // IFLA_INFO_KIND
  const data = at;
  const peer = data + 4;
  at = number(peer + 4 + 16, IFLA.NET_NS_FD, NETNS);
  at = text(at, IFLA.IFNAME, PEER, 1);
  header(peer, 1, at - peer); // VETH_INFO_PEER
  header(data, 2, at - data); // IFLA_INFO_DATA
  header(info, IFLA.LINKINFO, at - info);
  view.setUint32(0, at, true);
  return bytes.subarray(0, at);
}

function header(at: number, type: number, length: number): void {
  view.setUint16(at, length, true);
  view.setUint16(at + 2, type, true);
}
function number(at: number, type: number, value: number): number {
  header(at, type, 8);
  view.setUint32(at + 4, value, true);
  return at + 8;
}
function text(at: number, type: number, value: string, nul: number): number {
  const { written } = ascii.encodeInto(value, bytes.subarray(at + 4));
  header(at, type, 4 + written + nul);
  return at + ((4 + written + nul + 3) & ~3);
}

function decodeByHand(message: Uint8Array): { name: string; mtu: number; master: number; group: number } {
  const read = new DataView(message.buffer, message.byteOffset, message.length);
  const link = { name: '', mtu: 0, master: 0, group: 0 };
  const end = read.getUint32(0, true);
  for (let at = 32; at < end;) {
    const length = read.getUint16(at, true);
    switch (read.getUint16(at + 2, true)) {
      case IFLA.IFNAME:
        for (let i = at + 4; message[i] !== 0; i++) link.name += String.fromCharCode(message[i]!);
        break;
      case IFLA.MTU:
        link.mtu = read.getUint32(at + 4, true);
        break;
      case IFLA.MASTER:
        link.master = read.getUint32(at + 4, true);
        break;
      case IFLA.GROUP:
        link.group = read.getUint32(at + 4, true);
        break;
    }
    at += (length + 3) & ~3;
  }
  return link;
}
