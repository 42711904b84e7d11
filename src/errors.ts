/**
 * The root of every error that netloom throws on purpose. Match `code`, never the text.
 * The edges translate the code: exit status, HTTP status, CNI code.
 */
export class NetloomError extends Error {
  /** Stable and upper case: `EADDRTAKEN`, `ENETWORKNOTFOUND`, or a kernel errno name such as `EEXIST`. */
  readonly code: string;
  /** What the caller can do about it, as one sentence; empty where the message says it all. */
  readonly hint: string;

  constructor(code: string, message: string, options?: { cause?: unknown; hint?: string }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options?.hint ?? '';
  }
}

/** The kernel, or a tool of this machine, lacks something; found by probing after a failure, never before. */
export class UnsupportedError extends NetloomError {
  /** What is missing, in the kernel's own words: `ipvlan`, `CONFIG_NF_TABLES`. */
  readonly feature: string;

  constructor(feature: string, since: string, options?: { cause?: unknown }) {
    super('EUNSUPPORTED', `the running kernel has no ${feature}`, { ...options, hint: since });
    this.feature = feature;
  }
}

/** True when `error` is a netloom error with that code. */
export function hasCode(error: unknown, ...codes: readonly string[]): error is NetloomError {
  return error instanceof NetloomError && codes.includes(error.code);
}
