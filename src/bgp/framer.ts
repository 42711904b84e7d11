import { BgpError } from './errors.ts';
import { ERROR, HEADER_ERROR } from './notification.ts';
import { get16, HEADER, MAX_MESSAGE, of16, TYPE } from './wire.ts';

/** One message without its header, in memory of its own. */
export interface Frame {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Cuts a stream into messages. Holds one message at most, whatever is thrown at it. */
export class Framer {
  #rest: Uint8Array = new Uint8Array(MAX_MESSAGE);
  #size = 0;

  /**
   * Messages that are whole with these bytes, each handed to `take`; it may say false to stop, and what follows is dropped.
   * @throws BgpError for a header that is none; those before it were handed over
   */
  push(chunk: Uint8Array, take: (frame: Frame) => boolean): void {
    for (let at = 0; at < chunk.length;) {
      const wanted = this.#size < HEADER ? HEADER : get16(this.#rest, 16);
      const part = chunk.subarray(at, at + wanted - this.#size);
      this.#rest.set(part, this.#size);
      this.#size += part.length;
      at += part.length;
      if (this.#size < wanted) return;
      if (wanted === HEADER) checkHeader(this.#rest);
      if (this.#size < get16(this.#rest, 16)) continue;
      const frame = { type: this.#rest[18]!, body: this.#rest.slice(HEADER, this.#size) };
      this.#size = 0;
      if (!take(frame)) return;
    }
  }
}

/** RFC 4271 section 6.1 */
function checkHeader(head: Uint8Array): void {
  for (let i = 0; i < 16; i++)
    if (head[i] !== 0xff)
      throw new BgpError({ code: ERROR.HEADER, subcode: HEADER_ERROR.SYNC }, 'the marker is not all ones');
  const length = get16(head, 16);
  const type = head[18]!;
  const range = LENGTHS[type];
  if (!range && length >= HEADER && length <= MAX_MESSAGE) {
    const data = Uint8Array.of(type);
    throw new BgpError({ code: ERROR.HEADER, subcode: HEADER_ERROR.TYPE, data }, `there is no message of type ${type}`);
  }
  const [least, most] = range ?? [HEADER, MAX_MESSAGE];
  if (length < least || length > most) {
    throw new BgpError(
      { code: ERROR.HEADER, subcode: HEADER_ERROR.LENGTH, data: of16(length) },
      `a message of type ${type} has no ${length} bytes`,
    );
  }
}
const LENGTHS: Readonly<Record<number, readonly [number, number]>> = {
  [TYPE.OPEN]: [29, MAX_MESSAGE],
  [TYPE.UPDATE]: [23, MAX_MESSAGE],
  [TYPE.NOTIFICATION]: [21, MAX_MESSAGE],
  [TYPE.KEEPALIVE]: [HEADER, HEADER],
  // its own length is judged by RFC 7313 section 5
  [TYPE.REFRESH]: [HEADER, MAX_MESSAGE],
};
