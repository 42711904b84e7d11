import { NetloomError } from '../errors.ts';

/** The specification's numbers, in words; from 100 on they are the plugin's own. */
const MEANINGS: Readonly<Record<number, string>> = {
  1: 'incompatible CNI version',
  2: 'unsupported field in the configuration',
  3: 'unknown container',
  4: 'invalid environment variable',
  5: 'I/O failure',
  6: 'undecodable',
  7: 'invalid configuration',
  8: 'invalid namespace',
  11: 'try again later',
  50: 'plugin not available',
  51: 'plugin not available, and containers have limited connectivity',
  999: 'internal error',
};

export interface Failure {
  /** Type of the plugin. */
  readonly plugin: string;
  /** `CNI_COMMAND`. */
  readonly command: string;
  /** The specification's number; 0 where the plugin said none. */
  readonly code: number;
  readonly msg: string;
  readonly details: string;
}

/** A plugin said that it could not do it, or ended without a word that can be read. */
export class PluginError extends NetloomError {
  readonly plugin: string;
  readonly command: string;
  /** The specification's number; 0 where the plugin said none. */
  readonly cniCode: number;
  readonly msg: string;
  readonly details: string;

  constructor({ plugin, command, code, msg, details }: Failure, options: { cause?: unknown; hint?: string } = {}) {
    const meaning = MEANINGS[code];
    const number = code === 0 ? '' : ` (code ${code}${meaning === undefined ? '' : `, ${meaning}`})`;
    super('ECNIPLUGIN', `plugin ${plugin}: ${command}: ${msg}${number}`, {
      ...options,
      hint: options.hint ?? details,
    });
    [this.plugin, this.command, this.cniCode, this.msg, this.details] = [plugin, command, code, msg, details];
  }
}
