import { type PacketSocket, SyscallError } from '../kernel/index.ts';
import { DhcpError } from './errors.ts';

/** A client's way through a protocol: pure, driven from outside. `wake` is when `tick` has something to do. */
export interface Machine<Message, Action> {
  readonly wake: number;
  start(now: number): readonly Action[];
  tick(now: number): readonly Action[];
  /** @param from MAC address of the frame */
  receive(message: Message, from: string, now: number): readonly Action[];
}

/** How the outcome of a drive is told: once, whichever comes first. */
export interface Outcome<Action, Result> {
  resolve(result: Result): void;
  reject(error: unknown): void;
  /** Takes the machine a step further, from outside. */
  step(next: (now: number) => readonly Action[]): void;
}

export interface Drive<Message, Action, Result> {
  readonly socket: PacketSocket;
  readonly machine: Machine<Message, Action>;
  /** `eth0 in /run/netns/web`, for errors. */
  readonly where: string;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds until `silence` says why it is given up. */
  readonly timeoutMs: number;
  silence(): Error;
  read(frame: Uint8Array): { readonly message: Message; readonly from: string } | undefined;
  perform(action: Action, outcome: Outcome<Action, Result>): void;
}

/** Runs a machine on a socket until it comes to something. @throws DhcpError; signal.reason */
export async function drive<Message, Action, Result>(run: Drive<Message, Action, Result>): Promise<Result> {
  const { socket, machine, where, signal } = run;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  promise.catch(() => undefined); // awaited below, perhaps after it was rejected
  let timer: NodeJS.Timeout | undefined;
  const step = (next: (now: number) => readonly Action[]): void => {
    if (socket.closed) return;
    try {
      for (const action of next(Date.now())) run.perform(action, { resolve, reject, step });
    } catch (error) {
      reject(error instanceof SyscallError ? unusable(where, error) : (error as Error));
    }
    clearTimeout(timer);
    if (!Number.isFinite(machine.wake)) return;
    timer = setTimeout(() => step((now) => machine.tick(now)), Math.max(1, machine.wake - Date.now()));
  };
  socket.listen(
    {
      frames: (frames) => {
        for (const frame of frames) {
          const answer = run.read(frame);
          if (answer) step((now) => machine.receive(answer.message, answer.from, now));
        }
      },
      ended: (error) => reject(unusable(where, error)),
    },
    { ref: true },
  );
  const abort = (): void => reject(signal!.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  const deadline = setTimeout(() => reject(run.silence()), run.timeoutMs);
  try {
    step((now) => machine.start(now));
    return await promise;
  } finally {
    clearTimeout(deadline);
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** What a socket's error means to whoever wants a lease. */
export function unusable(where: string, cause: SyscallError): DhcpError {
  const down = cause.code === 'ENETDOWN';
  return new DhcpError(`${where}: ${down ? 'the interface is down' : cause.message}`, {
    cause,
    hint: down ? 'set it up, and its parent too, then ask again' : '',
  });
}
export function refusal(where: string, reason: string): DhcpError {
  const hint = 'stop using the address, and get another lease';
  return new DhcpError(`${where}: the lease is void: ${reason}`, { heard: [reason], hint, refused: true });
}
/** Nothing came of it in time. @param what such as `gave a lease` */
export function silence(
  where: string,
  what: string,
  machine: { readonly heard: readonly string[]; readonly sent: number },
  ms: number,
): DhcpError {
  const { heard, sent } = machine;
  const said = heard.length > 0 ? `heard: ${heard.join('; ')}` : 'nothing was heard';
  const hint =
    heard.length > 0
      ? 'see what the DHCP server of that network says in its log'
      : 'check that the parent interface is cabled to a network with a DHCP server, and that its switch lets several MAC addresses through one port; or give the address yourself';
  const messages = sent === 1 ? '1 message' : `${sent} messages`;
  return new DhcpError(`${where}: no DHCP server ${what} within ${ms / 1000} s (${messages} sent, ${said})`, {
    heard,
    hint,
  });
}
