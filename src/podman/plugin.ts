import { NetloomError } from '../errors.ts';
import type { ProgramAnswer, ProgramCall } from '../model/index.ts';
import { VERSION } from '../version.ts';
import { afterTeardown, setup, teardown, undoOf } from './attach.ts';
import { createForPlugin } from './create.ts';
import { parsePluginRequest } from './input.ts';
import { failure } from './netavark.ts';

/** Of the protocol, which has no other yet. */
const API_VERSION = '1.0.0';

/**
 * Does what netavark asks of a plugin: for installations that keep netavark, and where some networks have the driver
 * `netloom`. Throws nothing.
 * @see https://github.com/containers/netavark/blob/main/plugin-API.md
 */
export async function runNetavarkPlugin(call: ProgramCall): Promise<ProgramAnswer> {
  try {
    return await perform(call);
  } catch (error) {
    return failure(error);
  }
}

async function perform(call: ProgramCall): Promise<ProgramAnswer> {
  const [verb, path = ''] = call.argv;
  switch (verb) {
    case 'info':
      return { stdout: `${JSON.stringify({ version: VERSION, api_version: API_VERSION })}\n`, status: 0 };
    case 'create': {
      await using api = await call.open();
      return { stdout: `${JSON.stringify(await createForPlugin(api, call.stdin))}\n`, status: 0 };
    }
    case 'setup': {
      const request = parsePluginRequest(call.stdin, 'setup');
      await using api = await call.open();
      const done = await setup(api, call.netns ?? path, request, call.request);
      return {
        stdout: `${JSON.stringify(Object.values(done.status)[0])}\n`,
        status: 0,
        ...undoOf(call, done),
      };
    }
    case 'teardown': {
      const request = parsePluginRequest(call.stdin, 'teardown');
      await using api = await call.open();
      return { stdout: '', status: 0, ...afterTeardown(call, await teardown(api, request)) };
    }
    default:
      throw new NetloomError('EUSAGE', `a plugin of netavark has no command "${verb ?? ''}"`);
  }
}
