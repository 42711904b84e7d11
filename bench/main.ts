/**
 * npm run bench -- NAME… [--json]: runs benchmarks, each of which ends in one line a figure. Without a name, all.
 * Ratios are ours ÷ reference; see bench/lib/measure.ts for how they are taken.
 */
import { attach } from './benchmarks/attach.ts';
import { churn } from './benchmarks/churn.ts';
import { cni } from './benchmarks/cni.ts';
import { codec } from './benchmarks/codec.ts';
import { datapath } from './benchmarks/datapath.ts';
import { docker } from './benchmarks/docker.ts';
import { dns } from './benchmarks/dns.ts';
import { converge } from './benchmarks/converge.ts';
import { growth } from './benchmarks/growth.ts';
import { memory } from './benchmarks/memory.ts';
import { overlayUdp } from './benchmarks/overlay-udp.ts';
import { overlay } from './benchmarks/overlay.ts';
import { podman } from './benchmarks/podman.ts';
import { publish } from './benchmarks/publish.ts';
import { repair } from './benchmarks/repair.ts';
import { restart } from './benchmarks/restart.ts';
import { thousand } from './benchmarks/thousand.ts';
import { json, line, type Result } from './lib/measure.ts';

interface Benchmark {
  readonly about: string;
  readonly run: () => Promise<Result[]>;
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  codec: { about: 'netlink messages written and read, against a loop by hand', run: codec },
  attach: { about: 'one endpoint, in-process and through the daemon, against the bare messages', run: attach },
  thousand: { about: 'a thousand endpoints made and taken away, against the bare messages', run: thousand },
  publish: { about: 'a port beside 5,000 others, and a range beside a port', run: publish },
  datapath: { about: 'packets through our host against one made with ip and iptables', run: datapath },
  churn: { about: '5,000 endpoints come and go, 50 at a time: the slowest, and what is left behind', run: churn },
  repair: { about: 'the rule set flushed, a link or a route deleted, until all is right again', run: repair },
  restart: { about: 'the daemon killed and started with 1,000 endpoints, under traffic', run: restart },
  dns: { about: 'questions answered from the cache and from own names, against dnsmasq and unbound', run: dns },
  podman: { about: 'a container with a port set up and torn down as netavark does it, beside netavark', run: podman },
  docker: { about: "a container connected and disconnected by dockerd, beside Docker's own bridge", run: docker },
  cni: { about: 'ADD and DEL as a CNI plugin, a process a call, against the reference plugins', run: cni },
  'overlay-udp': {
    about: 'packets by the backend udp from host to host, against a TUN echo loop in C',
    run: overlayUdp,
  },
  overlay: { about: 'TCP from host to host by each backend, against the same way made with ip', run: overlay },
  converge: { about: 'a new endpoint, until ten hosts reach it and have its name', run: converge },
  growth: { about: 'a daemon among up to 1,000 simulated nodes of 100 endpoints each', run: growth },
  memory: { about: 'resident memory of the daemon with 1,000 endpoints, against none', run: memory },
};

const options = process.argv.slice(2);
const asJson = options.includes('--json');
const names = options.filter((option) => option !== '--json');
const unknown = names.filter((name) => !(name in BENCHMARKS));

if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are:`);
  for (const [name, { about }] of Object.entries(BENCHMARKS)) console.error(`  ${name.padEnd(10)} ${about}`);
  process.exitCode = 2;
} else {
  for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) {
    const results = await BENCHMARKS[name]!.run();
    for (const result of results) console.log(asJson ? json(result) : line(result));
  }
}
