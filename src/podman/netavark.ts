import { NetloomError } from '../errors.ts';
import type { EngineApi, ProgramAnswer, ProgramCall } from '../model/index.ts';
import { VERSION } from '../version.ts';
import { afterTeardown, setup, teardown, undoOf } from './attach.ts';
import { parseCommand } from './command.ts';
import { createNetwork } from './create.ts';
import { parseRequest } from './input.ts';
import { updateServers } from './update.ts';

/**
 * The release of netavark whose command line and JSON this is. Podman shows it in `podman info`, and asks for nothing of a
 * release by it.
 */
export const NETAVARK_VERSION = '1.17.0';

/** Does what Podman asks of netavark. Throws nothing: what goes wrong is said as netavark says it. */
export async function runNetavark(call: ProgramCall): Promise<ProgramAnswer> {
  try {
    return await perform(call);
  } catch (error) {
    return failure(error);
  }
}

/** `{"error": …}` on standard output, which Podman shows: what went wrong and what to do, in one line. */
export function failure(error: unknown): ProgramAnswer {
  const text = error instanceof Error ? error.message : String(error);
  const hint = error instanceof NetloomError && error.hint !== '' ? `: ${error.hint}` : '';
  return { stdout: `${JSON.stringify({ error: `${text}${hint}`.replace(/\s*\n\s*/g, ' ') })}\n`, status: 1 };
}

async function perform(call: ProgramCall): Promise<ProgramAnswer> {
  const { verb, operands, file, dnsServers } = parseCommand(call.argv);
  if (file !== '' && file !== '-' && call.stdin === '')
    throw new NetloomError('EUSAGE', `--file ${file}: cannot be read here`, { hint: 'use standard input' });
  switch (verb) {
    case 'setup': {
      const request = parseRequest(call.stdin, 'setup');
      await using api = await call.open();
      const done = await setup(api, call.netns ?? operands[0]!, request, call.request);
      const lacking = await unanswered(api, request.networks.values());
      return {
        stdout: `${JSON.stringify(done.status)}\n`,
        status: 0,
        ...(lacking !== '' && { stderr: lacking }),
        ...undoOf(call, done),
      };
    }
    case 'teardown': {
      const request = parseRequest(call.stdin, 'teardown');
      await using api = await call.open();
      return { stdout: '', status: 0, ...afterTeardown(call, await teardown(api, request)) };
    }
    case 'version':
      if (call.argv.includes('--version') || call.argv.includes('-V'))
        return { stdout: `netavark ${NETAVARK_VERSION} (netloom ${VERSION})\n`, status: 0 };
      return { stdout: `${JSON.stringify(VERSION_ANSWER, undefined, 2)}\n`, status: 0 };
    case 'firewall-reload':
    case 'firewalld-reload':
    case 'nftables-reload': {
      // whatever another program's reload threw away of ours comes back
      await using api = await call.open();
      await api.gc();
      return { stdout: '', status: 0 };
    }
    case 'dhcp-proxy':
      throw new NetloomError('EUNSUPPORTED', 'dhcp-proxy: netloom asks DHCP servers itself', {
        hint: 'run netloom daemon, and leave netavark-dhcp-proxy.socket off',
      });
    case 'update': {
      await using api = await call.open();
      await updateServers(api, operands[0]!, dnsServers);
      return { stdout: '', status: 0 };
    }
    case 'create':
      return { stdout: `${JSON.stringify(createNetwork(call.stdin, new Date().toISOString()))}\n`, status: 0 };
  }
}

const VERSION_ANSWER = {
  version: NETAVARK_VERSION,
  commit: `netloom ${VERSION}`,
  build_time: '',
  target: 'netloom',
  default_fw_driver: 'nftables',
};

/** One line where names were asked for and nobody is there to answer them. */
async function unanswered(api: EngineApi, networks: Iterable<{ readonly dns: boolean }>): Promise<string> {
  if (![...networks].some(({ dns }) => dns)) return '';
  if ((await api.version()).mode === 'daemon') return '';
  return 'netloom: names of containers are answered by netloom daemon, which does not run\n';
}
