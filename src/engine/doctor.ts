import { release } from 'node:os';
import { findHolder } from '../dns/index.ts';
import * as doctor from '../doctor/index.ts';
import type { DoctorReport } from '../model/index.ts';
import {
  addressDump,
  ipMessages,
  linkDump,
  parseAddress,
  parseLink,
  parseRoute,
  routeDump,
} from '../rtnetlink/index.ts';
import { containerList } from './containers.ts';
import type { Core } from './core.ts';
import { endpointList } from './endpoints.ts';
import { collect } from './gc.ts';
import { viewHost } from './host.ts';
import { networkList } from './networks.ts';
import { rehearse } from './rehearse.ts';

/** Looks at the host through every check. @see EngineApi.doctor */
export async function examine(core: Core, checks: readonly string[]): Promise<DoctorReport> {
  using kernel = core.kernel.scope();
  const conn = kernel.rtnl('');
  const view: doctor.View = {
    kernel,
    links: (await conn.execute(linkDump())).map(parseLink),
    addresses: ipMessages(await conn.execute(addressDump())).map(parseAddress),
    routes: ipMessages(await conn.execute(routeDump())).map(parseRoute),
    networks: await networkList(core),
    endpoints: await endpointList(core),
    containers: await containerList(core, true),
    used: (await viewHost(core.kernel.host, conn)).used,
    holderOf: (address, port) => findHolder(core.kernel.host, 'udp', address, port)?.program ?? '',
    netnsDir: core.paths.netnsDir,
    async drift() {
      const { value } = await rehearse(core, (stage) => collect(stage, { explain: true }));
      return { surplus: [...value.removed, ...value.reclaimed], wrong: [...value.repaired, ...value.failed] };
    },
  };
  const findings = await doctor.examine(view, checks);
  return { time: core.now().toISOString(), kernel: release(), findings };
}
