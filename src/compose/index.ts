/** The Compose door: reads Compose files and asks the engine for what they say. */
export { composeDown, composeLogs, composePs } from './down.ts';
export type { DownOptions, DownResult } from './down.ts';
export { ComposeError } from './errors.ts';
export type { Position, Problem } from './errors.ts';
export { loadNames, loadProject } from './load.ts';
export type { ProjectSource } from './load.ts';
export type { Output } from './logs.ts';
export { parseCompose } from './parse.ts';
export { isEmptyPlan, planUp } from './plan.ts';
export { ComposeRunError } from './progress.ts';
export type { ObjectAction, OnProgress, ProgressEvent } from './progress.ts';
export { buildProject, LABEL } from './project.ts';
export type { Project } from './project.ts';
export { composeUp } from './up.ts';
export type { UpOptions, UpResult } from './up.ts';
