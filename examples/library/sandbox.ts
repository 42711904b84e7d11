// A network for something that you start yourself: a sandbox, a test, a virtual machine's helper. Run it as root:
//   node examples/library/sandbox.ts
// In a program of your own, both imports come from 'netloom' and 'netloom/kernel'.
import { type Engine, openEngine } from '../../src/engine/index.ts';
import { Netns, NETNS_DIR } from '../../src/kernel/index.ts';

export async function sandbox(engine: Engine, directory: string = NETNS_DIR): Promise<string> {
  const path = `${directory}/sandbox`;
  using netns = Netns.create();
  netns.pin(path); // the name under which `ip netns exec sandbox …` finds it
  const { value: network } = await engine.networkCreate({ name: 'sandboxes', ipv6: true });
  const ports = [{ protocol: 'tcp' as const, hostPort: 0, containerPort: 80, count: 1 }];
  const { value: endpoint } = await engine.endpointAttach({ netns: path, network: network.id, ports });
  // here your program runs its own inside, and the outside reaches its port 80 at the host's:
  const story = `${endpoint.addresses.join(' and ')}, port 80 published as ${endpoint.ports.map((port) => port.hostPort).join()}`;
  await engine.endpointDetach(endpoint.id);
  await engine.networkRemove(network.id);
  Netns.unpin(path);
  return story;
}

if (import.meta.main) {
  await using engine = await openEngine();
  console.log(await sandbox(engine));
}
