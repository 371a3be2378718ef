// Streams (*.pystream.gz): every allocator call of a whole program, played to an untouched
// pymalloc.

import { InputError } from '../../kernel/errors.ts';
import { type AllocatorProbe } from './probe.ts';

const marks = ['checkpoint', 'start', 'end'] as const;

interface StreamHeader {
  readonly format: string;
  readonly mallocs: number;
  readonly arena_offsets: readonly number[];
}

/** Reads the line of JSON that opens a stream; @returns it and where the records start. */
export function streamHeader(file: string, bytes: Uint8Array): [StreamHeader, number] {
  const end = bytes.indexOf(10);
  if (end < 0) throw new InputError(`${file}:1`, 'expected a line of JSON');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  } catch {
    throw new InputError(`${file}:1`, 'expected a line of JSON');
  }
  if (
    typeof header !== 'object' ||
    header === null ||
    (header as StreamHeader).format !== 'pymem-stream-1' ||
    !Number.isSafeInteger((header as StreamHeader).mallocs)
  )
    throw new InputError(`${file}:1`, 'expected a header of format pymem-stream-1');
  return [header as StreamHeader, end + 1];
}

/** Plays the records and gives each checkpoint's observation to `print`. */
export function runStream(
  file: string,
  bytes: Uint8Array,
  probe: AllocatorProbe,
  print: (observation: object) => void,
): void {
  const [header, start] = streamHeader(file, bytes);
  probe.setOffsets(header.arena_offsets);
  const player = new Player(file, bytes, start, probe, header.mallocs);
  player.run(print);
}

class Player {
  private readonly file: string;
  private readonly bytes: Uint8Array;
  private readonly probe: AllocatorProbe;
  private at: number;
  private blocks: Float64Array;
  private nrBlocks = 0;
  private calls = 0;
  private digest = 2166136261;

  constructor(
    file: string,
    bytes: Uint8Array,
    start: number,
    probe: AllocatorProbe,
    mallocs: number,
  ) {
    this.file = file;
    this.bytes = bytes;
    this.at = start;
    this.probe = probe;
    this.blocks = new Float64Array(mallocs + 16);
  }

  run(print: (observation: object) => void): void {
    const { obmalloc } = this.probe;
    while (this.at < this.bytes.length) {
      const word = this.varint();
      const arg = Math.floor(word / 8);
      const op = word % 8;
      if (op === 4) {
        print({
          calls: this.calls,
          mark: marks[arg] ?? this.fail(`checkpoint of kind ${arg}`),
          placement: (this.digest >>> 0).toString(16).padStart(8, '0'),
          stats: this.probe.stats(),
        });
        continue;
      }
      this.calls++;
      if (op === 0) this.bind(obmalloc.malloc(arg));
      else if (op === 1) this.bind(obmalloc.calloc(1, arg));
      else if (op === 2) {
        const i = this.number(arg);
        obmalloc.free(this.blocks[i] ?? 0);
        this.blocks[i] = 0;
      } else if (op === 3) {
        const i = this.number(arg);
        const p = obmalloc.realloc(this.blocks[i] ?? 0, this.varint());
        this.blocks[i] = p;
        this.fold(p);
      } else this.fail(`record of kind ${op}`);
    }
  }

  private bind(p: number): void {
    if (this.nrBlocks === this.blocks.length) {
      const more = new Float64Array(this.nrBlocks * 2);
      more.set(this.blocks);
      this.blocks = more;
    }
    this.blocks[this.nrBlocks++] = p;
    this.fold(p);
  }

  private number(back: number): number {
    const i = this.nrBlocks - back;
    if (i < 0 || i >= this.nrBlocks || this.blocks[i] === 0) this.fail(`block ${back} back`);
    return i;
  }

  private fold(p: number): void {
    const place = this.probe.place(p);
    if (place === 'large') this.word(0xffffffff);
    else for (const w of place) this.word(w);
  }

  private word(w: number): void {
    this.digest = Math.imul(this.digest ^ w, 16777619);
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++] ?? this.fail('the end of the file inside a number');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  private fail(what: string): never {
    throw new InputError(this.file, `the stream is damaged: ${what}, at byte ${this.at}`);
  }
}
