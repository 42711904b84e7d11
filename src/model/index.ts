export type * from './call.ts';
export type * from './container.ts';
export type * from './contract.ts';
export type * from './doctor.ts';
export * from './events.ts';
export type * from './network.ts';
export type * from './pool.ts';
export * from './rate.ts';
export * from './validate.ts';
