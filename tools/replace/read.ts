// Reads a reference string from whatever holds one.
//
//     lackey text           every access; bytes in two pages are two references
//     kernel recording,     the recorded page faults: what a replacement policy of the real kernel
//     perf script           would have been asked; pages of different processes differ
//     plain numbers         `7 0 1 2w 0x10, …`: page numbers, a `w` behind one is a write; `#`
//     begins
//                           a comment. Such a string may stand on the command line itself
//
// Anything else is refused with its place.

import { InputError } from '../../kernel/index.ts';
import { REF_READ, REF_WRITE, type References } from '../../kernel/reclaim/policy.ts';
import { openInput, type Input } from '../input.ts';
import { detect } from '../trace/detect.ts';
import { LackeyReader, REF_M, REF_S } from '../trace/lackey.ts';
import { readRecording } from '../trace/read.ts';
import type { CallRecord, Recording } from '../trace/record.ts';
import { ReferenceStream } from './stream.ts';

const NUMBER = /^(0x[0-9a-f]{1,13}|\d{1,15})(w?)$/i;
/** Nothing but numbers, commas and blanks, at least two numbers: a string, not a file's name. */
const LITERAL = /^\s*\w+(?:[\s,]+\w+)+[\s,]*$/;
/** A reference string from a file, or from the argument itself. @throws InputError */
export async function readReferences(source: string): Promise<References> {
  if (LITERAL.test(source) && source.split(/[\s,]+/).every((t) => t === '' || NUMBER.test(t))) {
    const stream = new ReferenceStream();
    addLine(stream, source, 1, 'reference string');
    return stream.references();
  }
  const input = openInput(source);
  try {
    if (isPlain(await input.head(4096))) return await readPlain(input);
    switch (await detect(input)) {
      case 'lackey':
        return await readLackey(input);
      case 'strace':
        throw new InputError(source, 'an strace recording has neither accesses nor page faults');
      default:
        return fromRecording(await readRecording(source));
    }
  } finally {
    await input.close();
  }
}

/** Does the text's first line with anything in it begin with numbers? */
function isPlain(head: string): boolean {
  if (/^# memtrace\b/.test(head)) return false;
  for (const line of head.split('\n')) {
    const tokens = line.replace(/#.*/, '').match(/[^\s,]+/g);
    if (tokens !== null) return tokens.slice(0, 2).every((token) => NUMBER.test(token));
  }
  return false;
}

async function readPlain(input: Input): Promise<References> {
  const stream = new ReferenceStream();
  await input.lines((text, line) => {
    addLine(stream, text, line, input.path);
    return true;
  });
  return stream.references();
}

function addLine(stream: ReferenceStream, text: string, line: number, path: string): void {
  const body = text.replace(/#.*/, '');
  for (const token of body.matchAll(/[^\s,]+/g)) {
    const m = NUMBER.exec(token[0]);
    if (m === null) {
      const where = `${path}:${line}:${token.index + 1}`;
      throw new InputError(where, `expected a page number, found "${token[0].slice(0, 32)}"`);
    }
    stream.addNumber(Number(m[1]), m[2] === '' ? REF_READ : REF_WRITE);
  }
}

async function readLackey(input: Input): Promise<References> {
  const stream = new ReferenceStream();
  const reader = new LackeyReader(input, {
    reference(kind, lo, hi, size) {
      const access = kind === REF_S || kind === REF_M ? REF_WRITE : REF_READ;
      const page = lo >>> 12;
      stream.add(page, hi, access);
      if ((lo & 0xfff) + size <= 4096) return;
      if (page === 0xfffff) stream.add(0, (hi + 1) | 0, access);
      else stream.add(page + 1, hi, access);
    },
  });
  await reader.read();
  return stream.references();
}

/** Pages of one address space are told from another's by its number, above 2^36 pages. */
const SPACE_PAGES = 2 ** 36;

/** The recorded faults, in order. */
export function fromRecording(recording: Recording): References {
  const stream = new ReferenceStream();
  const spaces = new Map<number, number>();
  let made = 0;
  const spaceOf = (task: number): number => {
    let space = spaces.get(task);
    if (space === undefined) spaces.set(task, (space = made++));
    return space;
  };
  for (const record of recording.records) {
    if (record.type === 'call') {
      const child = childOf(record);
      if (child > 0 && sharesMemory(record)) spaces.set(child, spaceOf(record.task));
      if (record.name.startsWith('execve') && record.errno === undefined) {
        spaces.set(record.task, made++);
      }
    } else if (record.type === 'fault') {
      const page = Math.floor(record.address / 4096) + spaceOf(record.task) * SPACE_PAGES;
      stream.addNumber(page, record.access === 'w' ? REF_WRITE : REF_READ);
    }
  }
  if (stream.count === 0) throw new InputError(recording.path, 'the recording has no page faults');
  return stream.references();
}

function childOf(call: CallRecord): number {
  if (!/^(clone3?|fork|vfork)$/.test(call.name) || call.errno !== undefined) return 0;
  return Number(call.result);
}

function sharesMemory(call: CallRecord): boolean {
  return call.name === 'vfork' || call.args.some((arg) => /\bCLONE_VM\b/.test(arg));
}
