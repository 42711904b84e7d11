// A container runtime's part of CNI in a few lines: any plugins, netloom's or others. Run it as root:
//   ip netns add blue; node examples/cni-runtime/attach.ts /etc/cni/net.d dbnet /run/netns/blue
// In a program of your own, the import comes from 'netloom/cni'.
import { CNIConfig, loadNetworkConf, PluginError, type RuntimeConf } from '../../src/libcni/index.ts';

const [confDir = '/etc/cni/net.d', name = 'netloom', netns = '/run/netns/blue'] = process.argv.slice(2);
const path = (process.env['CNI_PATH'] ?? '/opt/cni/bin').split(':');
const cni = new CNIConfig(path, { cacheDir: process.env['CACHE_DIR'] ?? '/run/example-cni' });
const container: RuntimeConf = {
  containerID: 'example',
  netns,
  ifName: 'eth0',
  // each plugin is told of the capabilities that its configuration declares
  capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
};

const network = loadNetworkConf(confDir, name);
console.log('capabilities:', (await cni.validateNetworkList(network)).join(' '));
try {
  const result = await cni.addNetworkList(network, container, { timeout: 60_000 });
  console.log('added:', 'ips' in result ? result.ips?.map(({ address }) => address).join(' ') : result);
  await cni.checkNetworkList(network, container); // against the result, which is kept
  console.log('kept:', (await cni.getCachedAttachments('example')).map((each) => each.ifName).join(' '));
} catch (error) {
  if (error instanceof PluginError) console.error(`${error.plugin} says ${error.cniCode}: ${error.msg}`);
  throw error;
} finally {
  // also after an ADD that failed, as the specification wants it; it may be done again
  await cni.delNetworkList(network, container);
}
