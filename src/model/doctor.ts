/** One thing that was looked at. */
export interface Finding {
  /** Stable name of the check: `forwarding`, `foreign-drops` … */
  readonly check: string;
  readonly status: 'ok' | 'info' | 'warning' | 'failure' | 'unknown';
  /** One line: what is so, and for a failure what it breaks. */
  readonly summary: string;
  /** What was seen, in the kernel's or a file's own words, a line each. */
  readonly evidence: readonly string[];
  /** What puts it right: commands, or a sentence; empty where nothing needs to be. */
  readonly cure: readonly string[];
  /** Which of our objects it concerns: `network web`; empty for the host. */
  readonly object: string;
}

export interface DoctorReport {
  /** ISO 8601. */
  readonly time: string;
  readonly kernel: string;
  readonly findings: readonly Finding[];
}
