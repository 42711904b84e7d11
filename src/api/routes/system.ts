import { type Operation, operation } from '../operation.ts';
import { change } from '../schema/index.ts';

/** `/v1/version`. */
export const systemRoutes: readonly Operation[] = [
  operation({
    id: 'version',
    method: 'GET',
    path: '/v1/version',
    summary: 'Versions of netloom, its API, Node and the kernel',
    tag: 'system',
    answer: change.versionInfo.ref,
    run: async ({ engine }) => ({ ...(await engine.version()), mode: 'daemon' as const }),
  }),
];
