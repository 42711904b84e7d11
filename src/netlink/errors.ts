import { NetloomError } from '../errors.ts';
import { errnoName } from '../kernel/index.ts';

/** A request that the kernel refused. `code` is the errno's name; the kernel's own sentence is in `extAck`. */
export class NetlinkError extends NetloomError {
  /** Positive errno. */
  readonly errno: number;
  /** Which request: `RTM_NEWLINK name=br0`. */
  readonly request: string;
  /** The kernel's extended acknowledgement; empty where it gave none. */
  readonly extAck: string;
  /** Where in the request the kernel saw the mistake, bytes from the start of its message; -1 where it did not say. */
  readonly offset: number;

  constructor(error: { errno: number; request: string; extAck?: string; offset?: number }) {
    const name = errnoName(error.errno);
    super(name, `${error.request}: ${name}${error.extAck ? ` (${error.extAck})` : ''}`);
    this.errno = error.errno;
    this.request = error.request;
    this.extAck = error.extAck ?? '';
    this.offset = error.offset ?? -1;
  }
}
