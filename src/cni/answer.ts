import type { ProgramAnswer } from '../model/index.ts';
import { errorAnswer } from './errors.ts';
import { SPEC_VERSIONS, type SpecVersion } from './spec.ts';

/** A document, as a plugin prints it. */
export function print(document: object): ProgramAnswer {
  return { stdout: `${JSON.stringify(document, undefined, 2)}\n`, status: 0 };
}

/** What a verb comes to that has no document: all but ADD and VERSION. */
export const NOTHING: ProgramAnswer = { stdout: '', status: 0 };

/** What VERSION is answered. */
export function printVersions(cniVersion: SpecVersion): ProgramAnswer {
  return print({ cniVersion, supportedVersions: SPEC_VERSIONS });
}

/** What went wrong, as a runtime of that version is told. */
export function printError(error: unknown, version: SpecVersion): ProgramAnswer {
  return { ...print(errorAnswer(error, version)), status: 1 };
}
