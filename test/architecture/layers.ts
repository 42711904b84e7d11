/** The house's order, as docs/architecture.md draws it: what each folder of src/ may import, and why not more. */
export interface Layer {
  /** Other folders (or single files) of src/ that it may import from. */
  readonly may: readonly string[];
  /** Packages and modules of Node that only this layer brings in. */
  readonly packages?: readonly string[];
  /** No I/O, no clock, no chance: neither here nor in anything that it brings in. */
  readonly pure?: true;
  readonly why: string;
}

export const LAYERS: Readonly<Record<string, Layer>> = {
  errors: { may: [], pure: true, why: 'errors are a leaf: everybody throws them' },
  version: { may: [], pure: true, why: 'the version is a leaf' },
  addr: { may: ['errors'], pure: true, why: 'values are a leaf: everybody holds them' },
  kernel: { may: ['errors', 'addr'], why: 'system calls know nothing of netlink and networks' },
  netlink: { may: ['errors', 'kernel'], why: 'the codec and its connection know no family' },
  rtnetlink: { may: ['errors', 'addr', 'kernel', 'netlink'], why: 'a family knows the codec, and no other family' },
  nftables: { may: ['errors', 'addr', 'kernel', 'netlink'], why: 'a family knows the codec, and no other family' },
  conntrack: { may: ['errors', 'addr', 'kernel', 'netlink'], why: 'a family knows the codec, and no other family' },
  sockdiag: { may: ['errors', 'addr', 'kernel', 'netlink'], why: 'a family knows the codec, and no other family' },
  genetlink: { may: ['errors', 'kernel', 'netlink'], why: 'which family has which number; it knows none of them' },
  wireguard: {
    may: ['errors', 'addr', 'kernel', 'netlink', 'genetlink'],
    why: 'a family knows the codec, and the one that says its number',
  },
  xfrm: { may: ['errors', 'addr', 'kernel', 'netlink'], why: 'a family knows the codec, and no other family' },
  bpf: {
    may: ['errors', 'kernel'],
    why: 'programs are bytes that the kernel checks and runs; where they hang, others say',
  },
  keys: { may: ['errors'], why: 'key pairs and what is derived of them; whose they are is above' },
  facts: {
    may: [
      'errors',
      'addr',
      'kernel',
      'netlink',
      'rtnetlink',
      'nftables',
      'conntrack',
      'wireguard',
      'xfrm',
      'bpf',
      'keys',
    ],
    why: 'facts are kernel state; whoever wants them is above',
  },
  dhcp: {
    may: ['errors', 'addr', 'kernel'],
    why: 'a protocol knows sockets; who wants a lease and who serves is above',
  },
  relay: {
    may: ['errors', 'addr', 'kernel'],
    why: 'it carries packets by a table that it is given; which hosts there are, those above know',
  },
  model: { may: ['errors', 'addr'], pure: true, why: 'objects are plain records, which know no kernel' },
  ipam: {
    may: ['errors', 'addr', 'model', 'store/store.ts'],
    pure: true,
    why: 'the allocator works on any store that keeps the contract',
  },
  etcd: {
    may: ['errors'],
    why: 'a client knows neither what keys mean nor who asks',
  },
  flannel: {
    may: ['errors', 'addr', 'model', 'etcd'],
    why: "flannel's keys are read and written in etcd; what becomes of them in the kernel is above",
  },
  store: {
    may: ['errors', 'kernel', 'etcd'],
    packages: ['node:sqlite'],
    why: 'a store holds values, and knows neither their meaning nor the network',
  },
  dns: {
    may: ['errors', 'addr', 'kernel'],
    packages: ['dns-packet'],
    why: 'the resolver asks a view for names, and knows neither networks nor containers',
  },
  bgp: {
    may: ['errors', 'addr', 'kernel'],
    why: 'a speaker is given prefixes and tells of routes: whose they are and what becomes of them is above',
  },
  drivers: { may: ['errors', 'addr', 'model', 'facts'], why: 'a driver turns objects into facts and asks nobody' },
  nat: {
    may: ['errors', 'addr', 'model', 'facts', 'nftables', 'drivers', 'guard'],
    why: 'the rule set is compiled from objects; it never talks to the kernel',
  },
  cluster: {
    may: ['errors', 'addr', 'model', 'store/store.ts'],
    pure: true,
    why: "records that hosts share, over any store that keeps the contract; who follows them is the engine's",
  },
  overlay: {
    may: ['errors', 'addr', 'model', 'facts', 'drivers', 'keys'],
    why: 'a backend turns objects into facts and asks nobody, as a driver does',
  },
  probe: {
    may: ['errors', 'addr', 'kernel', 'model'],
    why: 'it asks addresses that it is given, and answers who knows its id; who these are is above',
  },
  doctor: {
    may: ['errors', 'addr', 'kernel', 'netlink', 'rtnetlink', 'nftables', 'facts', 'model', 'firewall'],
    why: 'checks look at kernel and objects; they change nothing and know no engine',
  },
  metrics: {
    may: ['errors'],
    packages: ['prom-client'],
    why: 'names and numbers; whoever counts brings them',
  },
  guard: {
    may: ['errors', 'addr', 'model', 'facts', 'nftables', 'drivers'],
    why: 'what frames are judged by is compiled from objects; only its counters are read from the kernel',
  },
  firewall: {
    may: ['errors', 'addr', 'kernel', 'netlink', 'nftables'],
    why: "other programs' rules are read and judged, and never changed; it knows no object of ours",
  },
  engine: {
    may: [
      ...['errors', 'version', 'addr', 'kernel', 'netlink', 'rtnetlink', 'nftables', 'conntrack', 'sockdiag', 'xfrm'],
      ...[
        'facts',
        'model',
        'ipam',
        'store',
        'cluster',
        'drivers',
        'overlay',
        'nat',
        'guard',
        'firewall',
        'metrics',
        'doctor',
        'dns',
        'dhcp',
        'probe',
        'relay',
        'keys',
        'bgp',
        'flannel',
      ],
    ],
    why: 'the engine composes all that is below, and knows no door',
  },
  cni: {
    may: ['errors', 'addr', 'model'],
    pure: true,
    why: 'a door parses, and speaks to EngineApi; what is read and written is handed to it',
  },
  libcni: {
    may: ['errors', 'addr', 'model', 'cni'],
    why: "a runtime's side of CNI: it starts plugins and keeps their results, and knows no engine",
  },
  podman: {
    may: ['errors', 'version', 'addr', 'model', 'cni/json.ts'],
    why: 'a door parses, and speaks to EngineApi; documents are read with the words that the CNI door has for it',
  },
  docker: {
    may: ['errors', 'addr', 'model'],
    why: "a door parses, and speaks to EngineApi; Docker's protocol is POST with no schema of its own, for which Node's HTTP is enough",
  },
  compose: { may: ['errors', 'addr', 'model'], packages: ['yaml'], why: 'a door parses, and speaks to EngineApi' },
  api: {
    may: ['errors', 'version', 'model'],
    packages: ['fastify', '@fastify/swagger', 'typebox'],
    why: 'the API carries EngineApi over a socket, whatever stands behind it',
  },
  daemon: {
    may: ['errors', 'version', 'model', 'kernel', 'api', 'engine', 'cni', 'podman', 'docker'],
    packages: ['pino'],
    why: 'the daemon puts an engine behind the API, and runs the programs that its call socket is for',
  },
  lab: {
    may: [
      ...['errors', 'addr', 'model', 'kernel', 'netlink', 'rtnetlink', 'nftables', 'drivers', 'api'],
      // a file that says where it is wrong is read in one way only
      ...['compose/tree.ts', 'compose/reader.ts', 'compose/keys.ts', 'compose/errors.ts'],
    ],
    why: 'a lab makes hosts, cables and daemons: it is a world around engines, and knows them by their API alone',
  },
  cli: {
    may: [
      ...['errors', 'version', 'addr', 'model', 'compose', 'cni', 'libcni', 'podman', 'api', 'daemon', 'engine', 'lab'],
      // an installer copies a program
      'kernel/built.ts',
    ],
    packages: ['@stricli/core'],
    why: 'the command line parses and prints; it asks an engine or a daemon for everything else',
  },
  index: {
    may: ['errors', 'version', 'addr', 'model', 'engine', 'api', 'kernel', 'compose'],
    why: 'what the library offers',
  },
};

/** Modules of Node that do I/O or tell the time; a pure layer reaches none of them, by however many steps. */
export const IMPURE: readonly string[] = [
  ...['child_process', 'cluster', 'dgram', 'dns', 'fs', 'fs/promises', 'http', 'http2', 'https', 'inspector', 'net'],
  ...['perf_hooks', 'sqlite', 'timers', 'timers/promises', 'tls', 'worker_threads'],
].map((name) => `node:${name}`);

/** Texts that must not stand in a source file, comments aside, with the places that are free of the ban. */
export interface Ban {
  readonly pattern: RegExp;
  /** Paths below src/ (a beginning of the path) where it may stand. */
  readonly except: readonly string[];
  /** Only in these layers; everywhere without. */
  readonly only?: readonly string[];
  readonly why: string;
}

export const BANS: readonly Ban[] = [
  {
    pattern:
      /\b(spawn|spawnSync|exec|execSync|execFile|execFileSync|fork)\(\s*['"`](\/\S*\/)?(ip6?|ip6?tables(-\w+)?|nft|brctl|bridge|sysctl|tc|ipvsadm|wg|conntrack|ipset)\b/,
    except: [],
    why: 'the product speaks to the kernel itself: tools are the oracle of the tests',
  },
  {
    pattern: /['"]node:child_process['"]/,
    except: ['engine/process.ts', 'cli/foreground.ts', 'daemon/delegate.ts', 'kernel/', 'libcni/exec.ts', 'lab/'],
    why: 'processes are started where the workload of a container is started, a CNI plugin, or a host of a lab: nowhere else',
  },
  {
    pattern: /\b(createRequire|process\.dlopen)\b|\.node['"`]/,
    except: ['kernel/native.ts'],
    why: 'one file loads the addon',
  },
  {
    pattern:
      /\b(IFLA|IFA|RTA|NDA|FRA|NETNSA|NFTA|CTA|NFQA|VETH_INFO|RTM|NFT_MSG|IPCTNL_MSG|CTRL_ATTR|WG[A-Z]+_A|XFRMA|XFRM_MSG)(_[A-Z0-9_]+)?\b/,
    except: ['netlink/', 'rtnetlink/', 'nftables/', 'conntrack/', 'genetlink/', 'wireguard/', 'xfrm/'],
    why: 'numbers of attributes and messages are known to their family alone',
  },
  {
    pattern: /\b(NlWriter|NlAttrs|messagesOf)\b/,
    except: ['netlink/', 'rtnetlink/', 'nftables/', 'conntrack/', 'sockdiag/', 'genetlink/', 'wireguard/', 'xfrm/'],
    why: 'bytes are written and read by the families alone',
  },
  {
    pattern:
      /\b(Date\.now|performance\.now|process\.hrtime|Math\.random|crypto\.random\w+|randomBytes|randomUUID)\b|new Date\(\)/,
    except: [],
    only: ['errors', 'addr', 'model', 'ipam', 'drivers', 'nat'],
    why: 'what is pure is given the time and the dice, so that a test can give others',
  },
];
