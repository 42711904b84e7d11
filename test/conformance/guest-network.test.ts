/** A virtual machine on a netloom network: QEMU behind a tap endpoint, beside a container. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EngineEvent } from '../../src/model/index.ts';
import { execIn, makeContainerBed } from '../live/containers-bed.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { bootGuest } from '../lib/guest.ts';
import { ADDRESS } from '../lib/host.ts';
import { okIn, runIn } from '../lib/run.ts';
import { bare } from '../lib/lan.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const WHAT = 'a guest gets its address, resolves a container’s name, fetches its page, and is reached from outside';
test(WHAT, { timeout: 300_000 }, async () => {
  await using bed = await makeContainerBed();
  await using engine = await bed.open({ resident: true });
  const pages = join(bed.dirs.root, 'pages');
  mkdirSync(pages);
  writeFileSync(join(pages, 'index.html'), 'a page from a container\n');
  await engine.networkCreate({ name: 'front', ipv6: true });
  const command = ['busybox', 'httpd', '-f', '-p', '80', '-h', pages];
  await engine.containerCreate({ name: 'web', command, networks: [{ network: 'front' }] });
  await engine.containerStart('web');
  const web = (await engine.containerInspect('web')).endpoints[0]!;

  const { value: endpoint } = await engine.endpointAttach({
    ...{ netns: '', tap: true, ifname: 'tap-vm', network: 'front', aliases: ['vm'] },
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  const [address] = bare(endpoint.addresses);
  const seen: EngineEvent[] = [];
  const stop = new AbortController();
  const listening = (async () => {
    for await (const event of engine.events({ types: ['dhcp'] }, stop.signal)) seen.push(event);
  })();

  const script = `
    udhcpc -i eth0 -n -q -t 10 -T 2 || exit 1
    ip -4 -o addr show dev eth0
    ip -4 route
    cat /etc/resolv.conf
    echo 'nslookup says:'
    nslookup -type=a web || exit 2
    wget -q -O - http://web/ || exit 3
    mkdir /pages && echo 'a page from a machine' >/pages/index.html
    httpd -p 80 -h /pages
    # until somebody asks, half a minute at most
    for i in $(seq 150); do [ -e /tmp/asked ] && break; netstat -tn | grep -q ':80 .*192.0.2.2' && touch /tmp/asked; sleep 0.2; done
    sleep 1
    exit 7`;
  const booted = bootGuest({
    ...{ netns: bed.host.netns, tap: 'tap-vm', mac: endpoint.mac, script },
    timeout: 180_000,
  });
  booted.catch(() => undefined); // awaited below
  let outside = '';
  const asking = until(
    'the port published to the guest answers',
    async () => {
      const url = `http://${ADDRESS.host}:8080/`;
      const { status, stdout } = await runIn(bed.host.outside, ['curl', '-s', '--max-time', '3', url]);
      outside = stdout;
      return status === 0;
    },
    { timeout: 180_000, every: 100 },
  );
  asking.catch(() => undefined);
  const { output, exitCode } = await booted;
  await asking;
  stop.abort();
  await listening;
  assert.equal(exitCode, 7, output);
  assert.ok(output.includes(`inet ${endpoint.addresses[0]} `), output);
  assert.match(output, new RegExp(`default via ${endpoint.gateways[0] ?? '172'}`), output);
  assert.ok(output.split('nslookup says:')[1]?.includes(`Address: ${bare(web.addresses)[0]}`), output);
  assert.match(output, /a page from a container/);
  assert.equal(outside, 'a page from a machine\n');
  const ack = seen.find((event) => event.action === 'ack');
  assert.equal(ack?.attributes['address'], endpoint.addresses[0]);
  assert.match(await engine.metrics(), /netloom_dhcp_machines 1/);

  // the machine's name is answered to containers
  const found = await execIn(engine, 'web', ['dig', '+short', '+time=3', 'vm']);
  assert.equal(found.trim(), address);
  await engine.endpointDetach(endpoint.id);
  assert.equal((await runIn(bed.host.netns, ['ip', 'link', 'show', 'tap-vm'])).status, 1);
  await okIn(bed.host.netns, ['ip', 'link']);
});
