// Opens a recording file of any kind.

import { openInput } from '../input.ts';
import { parseRecording } from './parse.ts';
import type { Recording } from './record.ts';

/**
 * Reads a recording that a machine can replay.
 * @throws InputError where the file is none, or holds memory accesses alone (lackey).
 */
export async function readRecording(path: string): Promise<Recording> {
  return await parseRecording(openInput(path));
}
