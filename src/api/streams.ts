import type { IncomingMessage } from 'node:http';
import type { EngineEvent } from '../model/index.ts';
import { badAnswer, lost, type Request, type Transport } from './transport.ts';

/** The bytes of an answer. `return` ends it at once, even while it waits for the next one. */
export class ByteReader implements AsyncIterator<Uint8Array, undefined> {
  readonly #http: Transport;
  readonly #request: Request;
  #response: Promise<IncomingMessage> | undefined;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #ended = false;

  constructor(http: Transport, request: Request) {
    this.#http = http;
    this.#request = request;
  }

  /** Sends the request now instead of with the first `next`, which tells what came of it. */
  open(): void {
    this.#ask().catch(() => undefined);
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    let answered = false;
    try {
      if (!this.#ended) {
        const response = await this.#ask();
        answered = true;
        if (this.#ended) response.destroy();
        this.#chunks ??= response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
        const result = await this.#chunks.next();
        if (result.done !== true) return { done: false, value: result.value };
      }
    } catch (error) {
      // Ended by the reader itself: what broke is what was told to.
      if (!this.#ended) throw answered ? lost(error) : error;
    }
    this.#ended = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ended = true;
    this.#response?.then(
      (response) => response.destroy(),
      () => undefined,
    );
    return { done: true, value: undefined };
  }

  #ask(): Promise<IncomingMessage> {
    this.#response ??= this.#http.stream(this.#request);
    return this.#response;
  }
}

/** Events, one a line. Ends with the signal, or in good order with the daemon. */
export class EventReader implements AsyncIterableIterator<EngineEvent, undefined> {
  readonly #bytes: ByteReader;
  readonly #signal: AbortSignal | undefined;
  readonly #text = new TextDecoder();
  readonly #abort = (): void => void this.return();
  #rest = '';
  #lines: string[] = [];

  constructor(http: Transport, request: Request, signal: AbortSignal | undefined) {
    this.#bytes = new ByteReader(http, request);
    this.#signal = signal;
    if (signal?.aborted === true) void this.return();
    else {
      // "From now on" begins with the call, not when somebody first looks.
      this.#bytes.open();
      signal?.addEventListener('abort', this.#abort, { once: true });
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<EngineEvent, undefined>> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return { done: false, value: parseEvent(line) };
      const { done, value } = await this.#bytes.next();
      if (done === true) {
        this.#signal?.removeEventListener('abort', this.#abort);
        return { done: true, value: undefined };
      }
      const lines = (this.#rest + this.#text.decode(value, { stream: true })).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines = lines;
    }
  }

  async return(): Promise<IteratorResult<EngineEvent, undefined>> {
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#lines = [];
    await this.#bytes.return();
    return { done: true, value: undefined };
  }
}

function parseEvent(line: string): EngineEvent {
  try {
    return JSON.parse(line) as EngineEvent;
  } catch {
    throw badAnswer('a line of the events is no JSON');
  }
}
