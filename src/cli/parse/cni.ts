import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { RuntimeConf } from '../../libcni/index.ts';
import type { PortSpec } from '../../model/index.ts';
import type { Io } from '../context.ts';
import { UsageError } from '../errors.ts';
import { type AttachmentFlags, capability, parseArg, type PlaceFlags } from './cni-words.ts';

/** Where configurations and plugins are, if nobody says. */
export const CONF_DIR = '/etc/cni/net.d';
const PLUGIN_DIRS = ['/opt/cni/bin', '/usr/lib/cni'];

type Env = Io['env'];

/** `--conf-dir`, NETCONFPATH, else the usual place. */
export function confDir(flags: PlaceFlags, env: Env): string {
  return flags.confDir ?? (env['NETCONFPATH'] || CONF_DIR);
}

/** `--plugin-dir`, CNI_PATH, else the usual places. */
export function pluginDirs(flags: PlaceFlags, env: Env): readonly string[] {
  if (flags.pluginDir !== undefined) return flags.pluginDir;
  const given = (env['CNI_PATH'] ?? '').split(':').filter(Boolean);
  return given.length > 0 ? given : PLUGIN_DIRS;
}

/** A path, or a name as `ip netns` lists it. */
export function namespacePath(text: string): string {
  return text.includes('/') ? resolve(text) : `/run/netns/${text}`;
}

/**
 * The attachment that flags and environment describe, the environment as cnitool reads it: CNI_IFNAME, CNI_ARGS, CAP_ARGS.
 * The container's id is cnitool's, too: of the namespace's path.
 * @throws UsageError
 */
export function attachmentOf(flags: AttachmentFlags, env: Env, netns: string): RuntimeConf {
  const path = namespacePath(netns);
  const digest = createHash('sha512').update(path).digest('hex').slice(0, 20);
  const args = flags.args ?? argsOf(env['CNI_ARGS'] ?? '');
  const ports = (flags.publish ?? []).flat().flatMap(portMappings);
  const capabilityArgs = {
    ...(env['CAP_ARGS'] ? capability(env['CAP_ARGS'], 'CAP_ARGS') : {}),
    ...(ports.length > 0 && { portMappings: ports }),
    ...(flags.ip !== undefined && { ips: flags.ip }),
    ...(flags.mac !== undefined && { mac: flags.mac }),
    ...Object.assign({}, ...(flags.capability ?? [])),
  };
  return {
    containerID: flags.containerId ?? `cnitool-${digest}`,
    netns: path,
    ifName: flags.ifname ?? (env['CNI_IFNAME'] || 'eth0'),
    ...(args.length > 0 && { args }),
    ...(Object.keys(capabilityArgs).length > 0 && { capabilityArgs }),
  };
}

/** `K=V;K=V`. @throws UsageError */
function argsOf(text: string): (readonly [string, string])[] {
  return text.split(';').filter(Boolean).map(parseArg);
}

/** A published port as the convention has it: a mapping for each. @throws UsageError */
function portMappings(port: PortSpec): object[] {
  if (port.hostPort === 0 || (port.hostPortEnd ?? port.hostPort) !== port.hostPort)
    throw new UsageError('--publish: a host port is wanted', 'No plugin chooses one: write 8080:80.');
  return Array.from({ length: port.count }, (_, i) => ({
    hostPort: port.hostPort + i,
    containerPort: port.containerPort + i,
    protocol: port.protocol,
    ...(port.hostAddress !== undefined && { hostIP: port.hostAddress }),
  }));
}
