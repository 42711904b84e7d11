export { DEFAULT_PATHS, type Paths } from './paths.ts';
export { Engine, type EngineOptions, openEngine } from './engine.ts';
