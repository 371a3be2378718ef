// Opens a recording of any kind: detects the format and reads it whole.

import { InputError } from '../../kernel/index.ts';
import { openInput } from '../input.ts';
import { detect } from './detect.ts';
import { readMemtrace } from './memtrace.ts';
import { readPerf } from './perf.ts';
import type { Recording } from './record.ts';
import { readStrace } from './strace.ts';

/**
 * Reads a recording that a machine can replay.
 * @throws InputError where the file is none, or holds memory accesses alone (lackey).
 */
export async function readRecording(path: string): Promise<Recording> {
  const input = openInput(path);
  try {
    switch (await detect(input)) {
      case 'memtrace':
        return await readMemtrace(input);
      case 'strace':
        return await readStrace(input);
      case 'perf':
        return await readPerf(input);
      case 'lackey':
        throw new InputError(
          path,
          'a lackey trace holds accesses and no machine: only `pagewalk replay` reads it',
        );
    }
  } finally {
    await input.close();
  }
}
