import { NetloomError } from '../errors.ts';

/** A packet whose lengths or contents contradict themselves. Packets come from anybody: whoever receives one expects this. */
export class MalformedError extends NetloomError {
  constructor(message: string) {
    super('EBADPACKET', message);
  }
}

/** No lease could be had or kept. `code` is always EDHCP; the message names the interface, the hint the cure. */
export class DhcpError extends NetloomError {
  /** What came from servers meanwhile, one line each: offers that were of no use, refusals. Empty for silence. */
  readonly heard: readonly string[];
  /** A server said no to a lease that was held: the address must not be used any more. */
  readonly refused: boolean;

  constructor(
    message: string,
    options: { heard?: readonly string[]; hint?: string; cause?: unknown; refused?: boolean } = {},
  ) {
    super('EDHCP', message, options);
    this.heard = options.heard ?? [];
    this.refused = options.refused ?? false;
  }
}
