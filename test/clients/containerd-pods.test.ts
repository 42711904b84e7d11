/** containerd's service for the kubelet with our plugin: pods with names and published ports, and a runtime that dies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMAGE, startContainerd } from '../lib/containerd.ts';
import { Cri, type Message } from '../lib/cri.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { okIn, runIn } from '../lib/run.ts';
import { fetched } from '../lib/page.ts';
import { startNetloom } from '../lib/suite.ts';

checkDescriptors();

const RESOLVER = '10.5.0.1';
/** A PodSandboxConfig: metadata, hostname, dns_config, port_mappings, linux.cgroup_parent. */
function pod(name: string, ports: readonly (readonly [host: number, container: number])[] = []): Message {
  return {
    1: { 1: name, 2: `uid-${name}`, 3: 'shop' },
    2: name,
    4: { 1: [RESOLVER] },
    5: ports.map(([host, container]) => ({ 2: container, 3: host })),
    8: { 1: `/pods/${name}` },
  };
}
/** A ContainerConfig: metadata, image, command. */
function container(name: string, ...command: readonly string[]): Message {
  return { 1: { 1: name }, 2: { 1: IMAGE }, 3: command };
}

for (const [release, suite] of [
  ['the later containerd', true],
  ["the distribution's containerd", false],
] as const) {
  test(`${release}: pods reach each other by name, publish ports, survive their runtime, and leave nothing`, async () => {
    await using bed = await makeEngineBed();
    await using containerd = await startContainerd({ netns: bed.host.netns, suite, subnet: '10.5.0.0/16' });
    const { machine } = containerd;
    await using netloom = await startNetloom(machine);
    const endpoints = async (): Promise<string[]> =>
      (await machine.ok(['netloom', 'endpoint', 'ls', '--format', '{{.Addresses}}'])).split('\n').filter(Boolean);

    const [web, client] = [pod('web', [[8080, 80]]), pod('client')];
    let webId: string;
    let clientId: string;
    {
      using cri = new Cri(containerd.socket);
      [webId, clientId] = await Promise.all([cri.runPodSandbox(web), cri.runPodSandbox(client)]);
      await cri.runContainer(webId, container('httpd', 'httpd', '-f', '-p', '80', '-h', '/etc'), web);
      const shell = await cri.runContainer(clientId, container('shell', 'sleep', '100000'), client);
      const address = await cri.podAddress(webId);
      assert.match(address, /^10\.5\./);
      assert.ok((await endpoints()).includes(`${address}/16`), address);
      await cri.exec(shell, 'ping', '-c', '1', '-W', '2', 'web');
      await cri.exec(shell, 'ping', '-c', '1', '-W', '2', 'web.shop');
      await cri.exec(shell, 'ping', '-c', '1', '-W', '2', ADDRESS.internet);
      await assert.rejects(cri.runPodSandbox(pod('second', [[8080, 80]])), /8080/, 'the port is taken');
    }
    const url = `http://${ADDRESS.host}:8080/resolv.conf`;
    const page = ['curl', '-sS', '--max-time', '5', url];
    assert.match(await fetched(bed.host.outside, url), new RegExp(RESOLVER));
    assert.equal((await endpoints()).length, 2, 'what was refused has left nothing');

    // the runtime is killed, and netloom beside it; the pods go on
    containerd.daemon.kill('SIGKILL');
    netloom.kill('SIGKILL');
    assert.match(await okIn(bed.host.outside, page), new RegExp(RESOLVER));
    await containerd.restart();
    using cri = new Cri(containerd.socket);
    for (const id of [webId, clientId]) await cri.stopPodSandbox(id);
    for (const id of [webId, clientId]) await cri.stopPodSandbox(id); // the kubelet says it until it is believed
    assert.deepEqual(await endpoints(), []);
    assert.notEqual((await runIn(bed.host.outside, page)).status, 0);
    for (const id of [webId, clientId]) await cri.removePodSandbox(id);
    await machine.ok(['netloom', 'network', 'rm', 'pods']);
  });
}
