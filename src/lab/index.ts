/** Several hosts on one machine: namespaces with a daemon each, the wire between them, and an etcd. */
export { cutLinks, heal, partition } from './cut.ts';
export type { Cut, CutSpec } from './cuts.ts';
export { labDown } from './down.ts';
export { LabFileError, parseLabFile } from './file.ts';
export { labNames, machineOf, noLab, Place } from './place.ts';
export type { LabPlan, Machine } from './plan.ts';
export { type ExecPlan, execPlan, type Program, serviceOf } from './process.ts';
export { DEFAULT_NAME, type LabSpec, plainSpec } from './spec.ts';
export { allLabs, type LabStatus, labStatus, type MachineStatus } from './status.ts';
export { labUp, type UpOptions } from './up.ts';
