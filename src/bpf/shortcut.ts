import { Assembler, r, type Register } from './assembler.ts';

/**
 * Where such a program hangs, and what it does there. `out`, at what leaves: writes down TCP connections as they begin, as the
 * rule sets of the host let them out. `port`, at what comes from an endpoint, and `way`, at what comes from other hosts: what
 * belongs to such a connection goes on at once, past all rule sets.
 */
export type ShortcutPlace = 'port' | 'way' | 'out';

/** As bytes: what the kernel compares. */
export interface ShortcutPlan {
  readonly at: ShortcutPlace;
  /** Prefixes that both ends of a connection must be in. */
  readonly ranges: readonly { readonly address: Uint8Array; readonly length: number }[];
  /** Index of the bridge that ends here are ports of. Their packets are routed as those that come by it. */
  readonly bridge: number;
  /** The network is one segment: frames go on as they are, by the port that the connection's first one left by. */
  readonly segment?: boolean;
  /** `port`: who is behind it, and the gateway's hardware address. */
  readonly port?: {
    readonly mac: Uint8Array;
    readonly addresses: readonly Uint8Array[];
    readonly bridgeMac: Uint8Array;
  };
}

/**
 * What a direction of a connection is called in the map: both addresses, both ports, the family. The kernel looks at every byte.
 * Its value is the index of the link that it left by, and until when it may go past, in jiffies.
 */
export const FLOW: { readonly key: number; readonly value: number; readonly entries: number } = {
  key: 40,
  value: 16,
  entries: 16384,
};

/** linux/bpf.h struct __sk_buff */
const SKB = { protocol: 16, vlanPresent: 20, ifindex: 40, data: 76, dataEnd: 80, gsoSize: 176 } as const;
/** linux/bpf.h enum bpf_func_id */
const HELPER = {
  mapLookup: 1,
  mapUpdate: 2,
  mapDelete: 3,
  storeBytes: 9,
  redirect: 23,
  changeHead: 43,
  loadBytesRelative: 68,
  fibLookup: 69,
  jiffies64: 118,
  redirectNeigh: 152,
  checkMtu: 163,
} as const;
const HDR_START_NET = 1;
/** linux/pkt_cls.h: whatever else hangs there has its turn; dropped. */
const TC_ACT_UNSPEC = -1;
const TC_ACT_SHOT = 2;
/** linux/bpf.h BPF_FIB_LKUP_RET_* */
const FIB_SUCCESS = 0;
const FIB_NO_NEIGH = 7;
const TCP = 6;
const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;

const ETHERNET = 14;
/** On the stack, from its end downwards: IP's and TCP's headers, the connection, struct bpf_fib_lookup, what is written anew. */
const HEADERS = -64;
const KEY = HEADERS - FLOW.key;
const FIB = KEY - 64;
/** So that IP's part of it is at a multiple of eight. */
const FRESH = FIB - 30;
const VALUE = FRESH - 2 - FLOW.value;
/** In the value. */
const UNTIL = 8;
const MTU = VALUE - 8;
const FIB_AT = {
  family: 0,
  protocol: 1,
  ports: 2,
  length: 6,
  ifindex: 8,
  flow: 12,
  source: 16,
  target: 32,
  smac: 52,
  dmac: 58,
};

interface FamilyLayout {
  readonly etherType: number;
  readonly af: number;
  readonly bytes: 4 | 16;
  /** IP's header, and where in it is what. */
  readonly header: number;
  readonly protocol: number;
  readonly source: number;
  readonly target: number;
  readonly ttl: number;
  /** As much of the header, from its beginning, as is written anew. */
  readonly fresh: 8 | 12;
}
const FAMILIES: Readonly<Record<4 | 6, FamilyLayout>> = {
  4: { etherType: 0x0800, af: 2, bytes: 4, header: 20, protocol: 9, source: 12, target: 16, ttl: 8, fresh: 12 },
  6: { etherType: 0x86dd, af: 10, bytes: 16, header: 40, protocol: 6, source: 8, target: 24, ttl: 7, fresh: 8 },
};

const CTX: Register = 6;
const FLAGS: Register = 8;
const OUT: Register = 9;
const STACK: Register = 10;

/**
 * The program in eBPF, for little-endian processors. Whatever is not plainly its own (a connection's first packets, fragments,
 * options, a last hop, a packet too large, no route, the host itself) it leaves alone: the kernel does as without it.
 *
 * A connection is known from the first packet of each direction, when that leaves as it came: what a rule set translates on its
 * way leaves with other addresses than it comes with, and so is never found.
 * @param map  descriptor of the hash with the connections
 */
export function shortcutProgram(plan: ShortcutPlan, map: number): Uint8Array {
  const a = new Assembler();
  a.mov(CTX, r(1));
  a.load(4, 2, CTX, SKB.vlanPresent).jumpIf('!=', 2, 0, 'pass');
  if (plan.port) checkFrame(a, plan.port, plan.segment === true);
  a.load(4, 7, CTX, SKB.protocol);
  const families = ([4, 6] as const).filter((family) =>
    plan.ranges.some(({ address }) => address.length === FAMILIES[family].bytes),
  );
  for (const family of families) a.jumpIf32('==', 7, swap16(FAMILIES[family].etherType), `ipv${family}`);
  a.label('pass').mov(0, TC_ACT_UNSPEC).exit();
  // the kernel takes no program with instructions that nothing leads to
  if (plan.at === 'way' && !plan.segment) a.label('drop').mov(0, TC_ACT_SHOT).exit();
  for (const family of families) {
    a.label(`ipv${family}`);
    readFlow(a, plan, family);
    if (plan.at === 'out') record(a, map);
    else goOn(a, plan, family, map);
  }
  return a.build();
}

/** What comes from an endpoint has its own hardware address; it is for the gateway, or in one segment for anybody else. */
function checkFrame(a: Assembler, { mac, bridgeMac }: NonNullable<ShortcutPlan['port']>, segment: boolean): void {
  a.load(4, 2, CTX, SKB.data).load(4, 3, CTX, SKB.dataEnd);
  a.mov(4, r(2)).alu('add', 4, ETHERNET).jumpIf('>', 4, r(3), 'pass');
  const unless = (bytes: Uint8Array, at: number, otherwise: string): Assembler => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    a.load(4, 5, 2, at).jumpIf32('!=', 5, view.getInt32(0, true), otherwise);
    return a.load(2, 5, 2, at + 4).jumpIf32('!=', 5, view.getUint16(4, true), otherwise);
  };
  if (segment) unless(bridgeMac, 0, 'another').jump('pass').label('another');
  else unless(bridgeMac, 0, 'pass');
  unless(mac, 6, 'pass');
}

/** Reads the headers; leaves the connection in KEY and TCP's flags in FLAGS. */
function readFlow(a: Assembler, { at, ranges, port }: ShortcutPlan, family: 4 | 6): void {
  const { af, bytes, header, protocol, source, target } = FAMILIES[family];
  a.mov(1, r(CTX))
    .mov(2, 0)
    .mov(3, r(STACK))
    .alu('add', 3, HEADERS)
    .mov(4, header + 20)
    .mov(5, HDR_START_NET);
  a.call(HELPER.loadBytesRelative).jumpIf('!=', 0, 0, 'pass');
  a.load(1, 2, STACK, HEADERS + protocol).jumpIf('!=', 2, TCP, 'pass');
  a.load(1, FLAGS, STACK, HEADERS + header + 13);
  a.load(1, 2, STACK, HEADERS);
  if (at === 'out') {
    // most of what leaves is no beginning
    a.alu('and', FLAGS, SYN).jumpIf('==', FLAGS, 0, 'pass');
  }
  if (family === 4) {
    a.jumpIf('!=', 2, 0x45, 'pass'); // no options
    a.load(2, 2, STACK, HEADERS + 6).jumpIf('&', 2, swap16(0x3fff), 'pass'); // no fragment
  } else {
    a.alu('and', 2, 0xf0).jumpIf('!=', 2, 0x60, 'pass');
  }
  const own = port?.addresses.map((address) => ({ address, length: address.length * 8 }));
  inRange(a, own ?? ranges, HEADERS + source, family, 'source');
  inRange(a, ranges, HEADERS + target, family, 'target');
  for (let i = 0; i < FLOW.key; i += 8) a.store(8, STACK, KEY + i, 0);
  copy(a, KEY, HEADERS + source, bytes);
  copy(a, KEY + 16, HEADERS + target, bytes);
  a.load(4, 2, STACK, HEADERS + header).store(4, STACK, KEY + 32, r(2));
  a.store(4, STACK, KEY + 36, af);
}

function inRange(a: Assembler, ranges: ShortcutPlan['ranges'], at: number, family: 4 | 6, what: string): void {
  const done = `${what} in range ${family}`;
  ranges
    .filter(({ address }) => address.length === FAMILIES[family].bytes)
    .forEach(({ address, length }, i) => {
      const next = `${what} beyond ${family}.${i}`;
      mustBe(a, at, address, length, next);
      a.jump(done).label(next);
    });
  a.jump('pass').label(done);
}

/** Compares the first bits of what is on the stack. */
function mustBe(a: Assembler, at: number, address: Uint8Array, length: number, otherwise: string): void {
  const view = new DataView(address.buffer, address.byteOffset);
  if (address.length === 4) {
    const mask = length === 0 ? 0 : swap32((0xffff_ffff << (32 - length)) >>> 0);
    a.load(4, 2, STACK, at).alu('and', 2, mask | 0);
    a.jumpIf32('!=', 2, view.getUint32(0, true) & mask, otherwise);
    return;
  }
  for (const half of [0, 8]) {
    const bits = Math.min(Math.max(length - half * 8, 0), 64);
    if (bits === 0) continue;
    const mask = swap64(BigInt.asUintN(64, ~0n << BigInt(64 - bits)));
    a.load(8, 2, STACK, at + half);
    if (bits < 64) a.wide(3, mask).alu('and', 2, r(3));
    a.wide(3, view.getBigUint64(half, true) & mask).jumpIf('!=', 2, r(3), otherwise);
  }
}

function record(a: Assembler, map: number): void {
  a.load(4, 2, CTX, SKB.ifindex)
    .store(4, STACK, VALUE, r(2))
    .store(4, STACK, VALUE + 4, 0);
  a.store(8, STACK, VALUE + UNTIL, 0);
  a.map(1, map).mov(2, r(STACK)).alu('add', 2, KEY).mov(3, r(STACK)).alu('add', 3, VALUE).mov(4, 0);
  a.call(HELPER.mapUpdate).jump('pass');
}

/** Jiffies: half a minute where the kernel's HZ is 1000, five where it is 100. Connection tracking keeps what it has for days. */
const PERIOD = 30_000;

function goOn(a: Assembler, plan: ShortcutPlan, family: 4 | 6, map: number): void {
  const { af, bytes, header, source, target, ttl, fresh, etherType } = FAMILIES[family];
  const onward = `onward${family}`;
  const key = (): Assembler => a.map(1, map).mov(2, r(STACK)).alu('add', 2, KEY);
  // one that begins: what was known of its like is no more. One that ends: the rest of both directions goes the whole way
  a.mov(2, r(FLAGS))
    .alu('and', 2, SYN | FIN | RST)
    .jumpIf('==', 2, 0, onward);
  key().call(HELPER.mapDelete);
  a.alu('and', FLAGS, SYN).jumpIf('!=', FLAGS, 0, 'pass');
  copy(a, KEY, HEADERS + target, bytes);
  copy(a, KEY + 16, HEADERS + source, bytes);
  copy(a, KEY + 32, HEADERS + header + 2, 2, 2);
  copy(a, KEY + 34, HEADERS + header, 2, 2);
  key().call(HELPER.mapDelete).jump('pass');
  a.label(onward);
  key().call(HELPER.mapLookup).jumpIf('==', 0, 0, 'pass');
  // the first one, and one now and then, is for connection tracking to see
  const past = `past${family}`;
  a.mov(OUT, r(0)).call(HELPER.jiffies64).load(8, 2, OUT, UNTIL).jumpIf('>', 2, r(0), past);
  a.alu('add', 0, PERIOD).store(8, OUT, UNTIL, r(0)).jump('pass').label(past);
  if (plan.segment) return goOnByPort(a);
  if (plan.at === 'way') findBeginning(a, family);
  a.load(1, 2, STACK, HEADERS + ttl).jumpIf('<=', 2, 1, 'pass');

  for (let i = 0; i < 64; i += 8) a.store(8, STACK, FIB + i, 0);
  a.store(1, STACK, FIB + FIB_AT.family, af).store(1, STACK, FIB + FIB_AT.protocol, TCP);
  copy(a, FIB + FIB_AT.ports, HEADERS + header, 4, 2);
  // of what the card will cut, the largest piece
  a.load(4, 2, CTX, SKB.gsoSize).jumpIf('==', 2, 0, `whole${family}`);
  a.load(1, 3, STACK, HEADERS + header + 12)
    .alu('and', 3, 0xf0)
    .alu('rsh', 3, 2);
  a.alu('add', 2, r(3)).alu('add', 2, header).jump(`measured${family}`);
  a.label(`whole${family}`);
  a.load(2, 2, STACK, HEADERS + (family === 4 ? 2 : 4)).bigEndian16(2);
  if (family === 6) a.alu('add', 2, header);
  a.label(`measured${family}`).store(2, STACK, FIB + FIB_AT.length, r(2));
  if (plan.port) a.mov(2, plan.bridge);
  else a.load(4, 2, CTX, SKB.ifindex);
  a.store(4, STACK, FIB + FIB_AT.ifindex, r(2)).mov(7, r(2));
  if (family === 4) a.load(1, 2, STACK, HEADERS + 1).store(1, STACK, FIB + FIB_AT.flow, r(2));
  else
    a.load(4, 2, STACK, HEADERS)
      .alu('and', 2, swap32(0x0fff_ffff) | 0)
      .store(4, STACK, FIB + FIB_AT.flow, r(2));
  copy(a, FIB + FIB_AT.source, HEADERS + source, bytes);
  copy(a, FIB + FIB_AT.target, HEADERS + target, bytes);
  a.mov(1, r(CTX)).mov(2, r(STACK)).alu('add', 2, FIB).mov(3, 64).mov(4, 0).call(HELPER.fibLookup);
  // towards other hosts the kernel writes what their devices want: some have no Ethernet
  const resolved = plan.port !== undefined;
  const found = `found${family}`;
  a.jumpIf('==', 0, FIB_SUCCESS, found);
  if (resolved) a.jumpIf('!=', 0, FIB_NO_NEIGH, 'pass');
  else a.jump('pass');
  a.label(found);
  a.load(4, OUT, STACK, FIB + FIB_AT.ifindex);
  // not back to where it came from
  a.jumpIf('==', OUT, r(7), 'pass');

  // one hop less
  const ip = FRESH + ETHERNET;
  copy(a, ip, HEADERS, fresh, fresh === 12 ? 4 : 8);
  if (family === 4) {
    a.load(4, 2, STACK, ip + ttl)
      .mov(3, r(2))
      .alu('rsh', 3, 16)
      .alu('add', 3, 1);
    // RFC 1624: the sum grows by what the word above it shrinks by; a carry goes round
    a.jumpIf('<=', 3, 0xfffe, 'sum').alu('add', 3, 1).label('sum').alu('and', 3, 0xffff);
    a.alu('and', 2, 0xffff).alu('sub', 2, 1).alu('lsh', 3, 16).alu('or', 2, r(3));
    a.store(4, STACK, ip + ttl, r(2));
  } else
    a.load(1, 2, STACK, ip + ttl)
      .alu('sub', 2, 1)
      .store(1, STACK, ip + ttl, r(2));
  copy(a, FRESH, FIB + FIB_AT.dmac, 6, 2);
  copy(a, FRESH + 6, FIB + FIB_AT.smac, 6, 2);
  a.store(2, STACK, FRESH + 12, swap16(etherType));

  let failed = 'pass';
  if (plan.at === 'way') {
    a.jumpIf('!=', FLAGS, 0, `framing${family}`);
    a.mov(1, r(CTX)).mov(2, ETHERNET).mov(3, 0).call(HELPER.changeHead).jumpIf('!=', 0, 0, 'pass');
    a.label(`framing${family}`);
    failed = 'drop'; // it may be no packet of its device any more
  }
  const skipped = resolved ? ETHERNET : 0;
  a.mov(1, r(CTX))
    .mov(2, skipped)
    .mov(3, r(STACK))
    .alu('add', 3, FRESH + skipped);
  a.mov(4, ETHERNET - skipped + fresh)
    .mov(5, 0)
    .call(HELPER.storeBytes)
    .jumpIf('!=', 0, 0, failed);
  a.mov(1, r(OUT)).mov(2, 0);
  if (resolved) a.mov(3, 0).mov(4, 0).call(HELPER.redirectNeigh);
  else a.call(HELPER.redirect);
  a.exit();
}

/**
 * By the port in the entry that was found, whose place is in OUT, past the bridge, unless it is gone, or the frame too large
 * for it: asking costs nothing beside the bridge's own way through, a tenth of questions and answers.
 */
function goOnByPort(a: Assembler): void {
  a.load(4, OUT, OUT, 0).load(4, 2, CTX, SKB.ifindex).jumpIf('==', OUT, r(2), 'pass');
  a.store(4, STACK, MTU, 0);
  a.mov(1, r(CTX)).mov(2, r(OUT)).mov(3, r(STACK)).alu('add', 3, MTU).mov(4, 0).mov(5, 0);
  a.call(HELPER.checkMtu).jumpIf('!=', 0, 0, 'pass');
  a.mov(1, r(OUT)).mov(2, 0).call(HELPER.redirect).exit();
}

/**
 * Whether there is a header of Ethernet's before the packet, in FLAGS: a tunnel may have none (ipip, WireGuard), or one that
 * its device knows nothing of (xfrm). GRE shows packets with the tunnel's header on, which no helper takes off.
 */
function findBeginning(a: Assembler, family: 4 | 6): void {
  const [found, framed] = [`began${family}`, `framed${family}`];
  a.load(4, 2, CTX, SKB.data).load(4, 3, CTX, SKB.dataEnd);
  a.mov(4, r(2))
    .alu('add', 4, ETHERNET + 8)
    .jumpIf('>', 4, r(3), 'pass');
  const isAt = (offset: number, otherwise: string): void => {
    for (const at of [0, 4])
      a.load(4, 4, 2, offset + at)
        .load(4, 5, STACK, HEADERS + at)
        .jumpIf32('!=', 4, r(5), otherwise);
  };
  a.mov(FLAGS, 0);
  isAt(0, framed);
  a.jump(found).label(framed).mov(FLAGS, 1);
  isAt(ETHERNET, 'pass');
  a.label(found);
}

/** From one place on the stack to another. */
function copy(a: Assembler, to: number, from: number, bytes: number, width: 2 | 4 | 8 = bytes === 16 ? 8 : 4): void {
  for (let i = 0; i < bytes; i += width) a.load(width, 2, STACK, from + i).store(width, STACK, to + i, r(2));
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
function swap32(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, false);
  return view.getUint32(0, true);
}
function swap64(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, false);
  return view.getBigUint64(0, true);
}
