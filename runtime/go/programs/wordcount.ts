// Word count: a text is written, read line by line, split into words and counted in a map.

import { newGoMap } from '../gomap.ts';
import { ByteSlice, newString, roundUpSize, touchBytes } from '../golang.ts';
import { type GoProgram, Lcg } from '../program.ts';

const SYLLABLES = ['ka', 'mi', 'ro', 'te', 'lu', 'sha', 'ne', 'vo', 'di', 'pra', 'o', 'en'];
const STRING_BYTES = 16;
const SCAN_BUFFER = 4096;

function writeText(prog: GoProgram, n: number): string[][] {
  const random = new Lcg(42);
  const builder = new ByteSlice(prog);
  const lines: string[][] = [];
  let line: string[] = [];
  for (let i = 0; i < n; i++) {
    let k = 1 + random.n(4);
    if (random.n(3) === 0) k = 1;
    let word = '';
    for (let j = 0; j < k; j++) {
      const syllable = SYLLABLES[random.n(SYLLABLES.length)];
      builder.append(syllable.length);
      word += syllable;
    }
    builder.append(1);
    prog.work(18 * k);
    line.push(word);
    if (i % 11 !== 10) continue;
    lines.push(line);
    line = [];
  }
  if (line.length > 0) lines.push(line);
  return lines;
}

export function wordcount(prog: GoProgram, n = 500000): void {
  const text = writeText(prog, n);
  const count = newGoMap(prog, false);
  const strings = prog.go.types.add({
    name: 'string',
    bytes: STRING_BYTES,
    ptrWords: 1,
    mask: null,
  });
  const buffer = prog.push(prog.new(SCAN_BUFFER));
  touchBytes(prog, prog.slot(buffer), prog.slot(buffer) + SCAN_BUFFER);
  for (const words of text) {
    const length = words.reduce((sum, w) => sum + w.length + 1, 0) - 1;
    const line = prog.push(newString(prog, length));
    const fields = prog.push(prog.new(words.length * STRING_BYTES, strings));
    for (let i = 0; i < words.length; i++)
      prog.set(prog.slot(fields) + i * STRING_BYTES, prog.slot(line));
    prog.work(length * 3);
    for (const word of words) {
      const upper = newString(prog, upperBytes(prog, word.length));
      prog.push(upper);
      count.set({ at: upper, text: word }, count.get(word) + 1);
      prog.work(word.length * 2);
      prog.pop(1);
    }
    prog.pop(2);
  }
  const sorted = prog.push(prog.new(count.size * STRING_BYTES, strings));
  for (let i = 0; i < count.size; i++) prog.go.mem.store64(prog.slot(sorted) + i * 16 + 8, 8);
  prog.work(count.size * 16 * 60);
}

/** ToUpper's builder: what a request of this length is rounded to, where the version does that. */
function upperBytes(prog: GoProgram, length: number): number {
  return prog.go.profile.swissMaps ? roundUpSize(prog, length) : length;
}
