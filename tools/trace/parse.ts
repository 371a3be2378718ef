// Reads a recording of any kind from a text: detects the format and parses it whole.

import { InputError } from '../../kernel/index.ts';
import type { TextInput } from '../text-input.ts';
import { detect } from './detect.ts';
import { readMemtrace } from './memtrace.ts';
import { readPerf } from './perf.ts';
import type { Recording } from './record.ts';
import { readStrace } from './strace.ts';

/**
 * Reads a recording that a machine can replay, and closes the input.
 * @throws InputError where the text is none, or holds memory accesses alone (lackey).
 */
export async function parseRecording(input: TextInput): Promise<Recording> {
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
          input.path,
          'a lackey trace holds accesses and no machine: only `pagewalk replay` reads it',
        );
    }
  } finally {
    await input.close();
  }
}
