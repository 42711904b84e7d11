import assert from 'node:assert/strict';
import type { EngineApi } from '../../src/model/index.ts';

/** Creates, starts, ends and removes many containers at once; every address that they had. */
export async function churn(engine: EngineApi, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const made = await Promise.all(
    names.map((name, i) =>
      engine.containerCreate({
        name,
        command: ['sleep', '300'],
        networks: i % 2 ? [{ network: 'web' }] : [{ network: 'web' }, { network: 'other' }],
        ports: i % 5 ? [] : [{ protocol: 'tcp', hostPort: 0, containerPort: 80, count: 1 }],
      }),
    ),
  );
  await Promise.all(names.map((name) => engine.containerStart(name)));
  const addresses = made.flatMap(({ value }) => value.endpoints.flatMap((e) => e.addresses));
  // those of other processes, too
  const held = (await engine.endpointList()).flatMap((e) => e.addresses);
  assert.equal(new Set(held).size, held.length, 'no address twice');
  for (const { value } of made) assert.equal((await engine.containerInspect(value.id)).state.status, 'running');
  await Promise.all(
    names.map((name, i) =>
      i % 3 ? engine.containerRemove(name, { force: true }) : engine.containerStop(name, { timeoutSeconds: 5 }),
    ),
  );
  await Promise.all(names.filter((_, i) => i % 3 === 0).map((name) => engine.containerRemove(name)));
  return addresses;
}
