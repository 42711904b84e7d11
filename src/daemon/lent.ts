import type { EngineApi } from '../model/index.ts';

/** The engine, for somebody who disposes of it: it stays. */
export function lent(engine: EngineApi): EngineApi {
  return new Proxy(engine, {
    get: (target, key) => {
      if (key === Symbol.asyncDispose) return () => Promise.resolve();
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
