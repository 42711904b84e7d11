/** A register: 0 what a call returns, 1 to 5 its arguments, 6 to 9 what outlives calls, 10 the end of the stack. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
/** How much is loaded or stored, in bytes. */
export type Width = 1 | 2 | 4 | 8;
export type AluOperation = keyof typeof ALU;
export type JumpCondition = keyof typeof JUMP;

/** linux/bpf_common.h, linux/bpf.h: classes, sizes, modes, sources. */
const CLASS = { LD: 0x00, LDX: 0x01, ST: 0x02, STX: 0x03, ALU: 0x04, JMP: 0x05, JMP32: 0x06, ALU64: 0x07 } as const;
const SIZE: Readonly<Record<Width, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };
const MEM = 0x60;
const DOUBLE_IMM = CLASS.LD | SIZE[8];
const FROM_REGISTER = 0x08;
const ALU = { add: 0x00, sub: 0x10, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, mov: 0xb0 } as const;
const JUMP = { always: 0x00, '==': 0x10, '>': 0x20, '&': 0x40, '!=': 0x50, '<=': 0xb0 } as const;
const CALL = 0x80;
const EXIT = 0x90;
const TO_BIG_ENDIAN = CLASS.ALU | 0xd0 | FROM_REGISTER;
/** Of an immediate of 64 bits: it is the descriptor of a map. */
const PSEUDO_MAP_FD = 1;

/** Operands are registers as `{ r: 3 }`, or numbers of 32 bits with a sign. */
export type Operand = { readonly r: Register } | number;
export const r = (register: Register): { readonly r: Register } => ({ r: register });

/**
 * Writes a program of eBPF, instruction by instruction. Jumps go forward or backward to labels.
 * @see RFC 9669 for the instructions, bpf-helpers(7) for what can be called
 */
export class Assembler {
  readonly #words: { readonly bytes: Uint8Array; readonly target?: string }[] = [];
  readonly #labels = new Map<string, number>();

  /** Of 64 bits. */
  alu(operation: AluOperation, to: Register, by: Operand): this {
    return this.#operate(CLASS.ALU64 | ALU[operation], to, by);
  }
  mov(to: Register, from: Operand): this {
    return this.alu('mov', to, from);
  }
  /** The lower 16 bits as a number in network order, and nothing else of it. */
  bigEndian16(register: Register): this {
    return this.#push(TO_BIG_ENDIAN, register, 0, 0, 16);
  }
  load(width: Width, to: Register, from: Register, offset: number): this {
    return this.#push(CLASS.LDX | MEM | SIZE[width], to, from, offset, 0);
  }
  store(width: Width, to: Register, offset: number, from: Operand): this {
    return typeof from === 'number'
      ? this.#push(CLASS.ST | MEM | SIZE[width], to, 0, offset, from)
      : this.#push(CLASS.STX | MEM | SIZE[width], to, from.r, offset, 0);
  }
  /** All 64 bits of a number. */
  wide(to: Register, value: bigint): this {
    const low = Number(BigInt.asIntN(32, value));
    const high = Number(BigInt.asIntN(32, value >> 32n));
    return this.#push(DOUBLE_IMM, to, 0, 0, low).#push(0, 0, 0, 0, high);
  }
  /** A map, by its descriptor in this process; the kernel holds it from then on. */
  map(to: Register, fd: number): this {
    return this.#push(DOUBLE_IMM, to, PSEUDO_MAP_FD, 0, fd).#push(0, 0, 0, 0, 0);
  }
  jump(target: string): this {
    return this.#push(CLASS.JMP | JUMP.always, 0, 0, 0, 0, target);
  }
  /** Compares 64 bits; `&` jumps where any bit of both is set. */
  jumpIf(condition: JumpCondition, left: Register, right: Operand, target: string): this {
    return this.#operate(CLASS.JMP | JUMP[condition], left, right, target);
  }
  /** Compares the lower 32 bits, without a sign. */
  jumpIf32(condition: JumpCondition, left: Register, right: Operand, target: string): this {
    return this.#operate(CLASS.JMP32 | JUMP[condition], left, right, target);
  }
  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} is there twice`);
    this.#labels.set(name, this.#words.length);
    return this;
  }
  /** A helper of the kernel: arguments in registers 1 to 5, which it does not keep; the answer in 0. */
  call(helper: number): this {
    return this.#push(CLASS.JMP | CALL, 0, 0, 0, helper);
  }
  exit(): this {
    return this.#push(CLASS.JMP | EXIT, 0, 0, 0, 0);
  }

  /** struct bpf_insn, one after the other. */
  build(): Uint8Array {
    const bytes = new Uint8Array(this.#words.length * 8);
    for (const [i, word] of this.#words.entries()) {
      bytes.set(word.bytes, i * 8);
      if (word.target === undefined) continue;
      const at = this.#labels.get(word.target);
      if (at === undefined) throw new Error(`there is no label ${word.target}`);
      new DataView(bytes.buffer).setInt16(i * 8 + 2, at - i - 1, true);
    }
    return bytes;
  }

  #operate(code: number, register: Register, operand: Operand, target?: string): this {
    return typeof operand === 'number'
      ? this.#push(code, register, 0, 0, operand, target)
      : this.#push(code | FROM_REGISTER, register, operand.r, 0, 0, target);
  }
  #push(code: number, to: number, from: number, offset: number, immediate: number, target?: string): this {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, code);
    view.setUint8(1, to | (from << 4));
    view.setInt16(2, offset, true);
    view.setInt32(4, immediate | 0, true);
    this.#words.push(target === undefined ? { bytes } : { bytes, target });
    return this;
  }
}
