export type * from './container.ts';
export type * from './contract.ts';
export type * from './network.ts';
export * from './validate.ts';
