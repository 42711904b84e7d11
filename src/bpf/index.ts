/** Programs that the kernel runs itself: written here instruction by instruction, loaded by bpf(2). */
export { createLruHash, loadClassifier, mapsOfProgram, openMap, shapeOf } from './call.ts';
export { FLOW, type ShortcutPlace, type ShortcutPlan, shortcutProgram } from './shortcut.ts';
