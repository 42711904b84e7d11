import { Datagrams, type Fd, type Netns, type Poll, serviceSocketIn, wantRoom, whenReadable } from '../kernel/index.ts';
import type { Askers, AskerState } from './askers.ts';
import type { Counters } from './counters.ts';
import type { Reply } from './forwarder.ts';
import type { Deferral, Responder } from './responder.ts';
import { UDP_EDNS } from './wire.ts';

/** Room for a datagram: no answer is longer than UDP_EDNS, and no honest question either. */
const SLOT = 1280;
/** Batches of one socket before others get their turn. */
const ROUNDS = 16;
/** Turns in a row that end with more waiting: then more comes than can be answered, and it is not just a burst. */
const PATIENT = 4;
/** Milliseconds that shares are dealt out from then on. */
const STRICT = 100;
/** Answers to one asker in a turn while shares are dealt out. */
const SHARE = 96;
/** Milliseconds after which an asker that was heard is no longer waited for. */
const HEARD = 2000;
/** Bytes of waiting datagrams. */
const ROOM = 4 << 20;

/** Memory that all sockets take turns in: nothing stays in it between two turns of the event loop. */
const box = new Datagrams(SLOT);
const single = new Datagrams(UDP_EDNS);
let turn = 0;

/**
 * The UDP side of one address. Not `node:dgram`, where each packet is a system call, an object and a callback: a server
 * that only echoes answered 35,000 to 60,000 questions a second with it, this one 100,000 to 180,000 in the same minutes.
 * Packets come and go by up to 64 a call, and answers are made in the place of their questions.
 */
export class UdpListener implements Deferral, Disposable {
  readonly #fd: Fd;
  readonly #askers: Askers;
  readonly #responder: Responder;
  readonly #counters: Counters;
  #poll: Poll | undefined;
  /** Which datagram of the box is being answered. */
  #current = 0;
  /** Turns in a row that ended with more waiting. */
  #full = 0;
  #strictUntil = 0;
  /** Until when there is more than one asker here. */
  #sharedUntil = 0;
  #last: AskerState | undefined;

  /** @throws SyscallError EADDRINUSE, EACCES */
  constructor(
    netns: Netns | undefined,
    at: { readonly address: string; readonly port: number; readonly scope?: number },
    askers: Askers,
    responder: Responder,
    counters: Counters,
  ) {
    this.#askers = askers;
    this.#responder = responder;
    this.#counters = counters;
    this.#fd = serviceSocketIn(netns, 'udp', at);
    wantRoom(this.#fd, ROOM);
  }

  start(): void {
    this.#poll = whenReadable(this.#fd, () => this.#ready()).ref();
  }

  /** The way back to who sent the datagram that is being answered. */
  defer(room: number): Reply {
    const from = this.#current * Datagrams.PEER;
    const peer = box.peers.slice(from, from + Datagrams.PEER);
    return {
      tcp: false,
      room,
      send: (message, length) => {
        if (this.#fd.closed) return;
        single.buffer.set(length === message.length ? message : message.subarray(0, length));
        single.peers.set(peer);
        single.lengths[0] = length;
        this.#send(single, 1, 1);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#poll?.stop();
    this.#fd.close();
  }

  #ready(): void {
    if (this.#fd.closed) return;
    this.#responder.tick();
    turn++;
    const now = performance.now();
    const strict = now < this.#strictUntil && now < this.#sharedUntil;
    for (let round = 0; round < ROUNDS; round++) {
      let count: number;
      try {
        count = box.receive(this.#fd.number);
      } catch {
        // an error of an earlier send that the kernel tells now; it also ends the poll
        this.#poll?.stop();
        if (!this.#fd.closed) this.start();
        return;
      }
      let answers = 0;
      for (let i = 0; i < count; i++) {
        const size = this.#answer(i, now, strict);
        box.lengths[i] = size;
        if (size > 0) answers++;
      }
      if (answers > 0) this.#send(box, count, answers);
      if (count < Datagrams.BATCH) {
        this.#full = 0;
        return;
      }
    }
    if (++this.#full >= PATIENT) this.#strictUntil = now + STRICT;
  }

  #answer(i: number, now: number, strict: boolean): number {
    const length = box.lengths[i]!;
    const asker = this.#askers.ofPeer(box.peers, i * Datagrams.PEER);
    if (asker !== this.#last) {
      if (this.#last) this.#sharedUntil = now + HEARD;
      this.#last = asker;
    }
    if (asker.turn !== turn) {
      asker.turn = turn;
      asker.spent = 0;
    }
    // what one asker sends beyond its share is dropped at once: answering it would keep the others waiting in a queue
    // that overflows
    if (++asker.spent > SHARE && strict) {
      this.#counters.rejected.overload++;
      asker.refused++;
      return 0;
    }
    if (length > SLOT) {
      this.#counters.rejected.malformed++;
      return 0;
    }
    this.#current = i;
    return this.#responder.answer(box.buffer, i * SLOT, length, UDP_EDNS, asker, false, this);
  }

  #send(datagrams: Datagrams, count: number, answers: number): void {
    try {
      const sent = datagrams.send(this.#fd.number, count);
      if (sent < answers) this.#counters.rejected.unsent += answers - sent;
    } catch {
      this.#counters.rejected.unsent += answers;
    }
  }
}
