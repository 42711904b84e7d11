import { NetloomError } from '../errors.ts';

/** What etcd itself answered: the code is gRPC's, as a word. @see google.golang.org/grpc/codes */
export class EtcdError extends NetloomError {
  /** gRPC's number. */
  readonly grpc: number;

  constructor(grpc: number, message: string, hint: string | undefined = HINTS[grpc]) {
    super(CODES[grpc] ?? 'EETCD', message, hint === undefined ? undefined : { hint });
    this.grpc = grpc;
  }
}

/** gRPC's number for what is not there: a lease that ran out. */
export const NOT_FOUND = 5;

/** Those that somebody acts upon; the rest is EETCD. */
const CODES: Readonly<Record<number, string>> = {
  7: 'EETCDDENIED',
  8: 'EETCDFULL',
  11: 'EETCDCOMPACTED',
  16: 'EETCDDENIED',
};
const HINTS: Readonly<Record<number, string>> = {
  7: 'give the user a role that may read and write the keys of netloom (etcdctl role grant-permission)',
  8: 'compact, defragment and disarm: etcdctl compact, etcdctl defrag, etcdctl alarm disarm',
  16: 'check the user and its password (etcdctl user passwd)',
};

/** Nobody answered, or whoever did has no majority behind it. Nothing was changed unless `unsure`. */
export class EtcdAwayError extends NetloomError {
  /** A change was sent, and no answer came: it may have been made. */
  readonly unsure: boolean;

  constructor(message: string, options: { readonly unsure: boolean; readonly cause?: unknown }) {
    super('EETCDAWAY', message, {
      cause: options.cause,
      hint: 'see that etcd runs, and that its port is reached from here',
    });
    this.unsure = options.unsure;
  }
}
