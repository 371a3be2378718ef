// From a recording's path to what replays it, and the numbers that users type.

import { InputError } from '../../kernel/index.ts';
import { readRecording } from '../trace/read.ts';
import { Kernel } from './kernel.ts';
import { machineOf } from './machine.ts';
import { Replayer } from './replayer.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** `512M`, `1G`, `64GiB`, `4096`: bytes. @throws InputError */
export function parseSize(text: string): number {
  const m = /^(\d+)([KMGT]?)(?:i?B)?$/.exec(text);
  const bytes = m === null ? 0 : Number(m[1]) * (UNITS[m[2]!] ?? 0);
  if (bytes < 4096 || bytes > 2 ** 43) {
    throw new InputError('', `size ${text}: expected such as 512M or 1G, 4K to 8T`);
  }
  return bytes;
}

/** `0x7ffff7fb7000` or `7ffff7fb7000`, up to 64 bits. @throws InputError */
export function parseAddress(text: string): number {
  if (!/^(0x)?[0-9a-fA-F]{1,16}$/.test(text)) {
    throw new InputError('', `address ${text}: expected hexadecimal such as 0x7ffff7fb7000`);
  }
  return Number(BigInt.asIntN(64, BigInt(text.startsWith('0x') ? text : `0x${text}`)));
}

/** Reads a recording and makes the machine that will run it. @throws InputError */
export async function openReplay(path: string, ram?: number): Promise<Replayer> {
  const recording = await readRecording(path);
  return new Replayer(new Kernel(machineOf(recording, ram)), recording);
}
