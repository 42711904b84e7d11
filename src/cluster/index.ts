export * from './loans.ts';
export * from './networks.ts';
export * from './prefixes.ts';
export * from './records.ts';
