// Reads a recording's text line by line, and tells a damaged line from one that was cut short.
//
// A recorder that is stopped leaves its last line unfinished. So what is wrong with a line is held
// back until the next one comes: only then is the line itself at fault.

import { InputError } from '../../kernel/index.ts';
import type { TextInput } from '../text-input.ts';

/**
 * Hands each line to `parse`.
 * @returns how many lines there are.
 * @throws InputError what `parse` throws, or that the last line is incomplete
 */
export async function readWhole(
  input: TextInput,
  parse: (text: string, line: number) => void,
): Promise<number> {
  let lines = 0;
  let held: InputError | undefined;
  await input.lines((text, line) => {
    if (held !== undefined) throw held;
    lines = line;
    try {
      parse(text, line);
    } catch (e) {
      if (!(e instanceof InputError)) throw e;
      held = e;
    }
    return true;
  });
  if (held === undefined) return lines;
  if (input.linesRead >= lines) throw held;
  const detail = held.message.slice(held.message.indexOf(': ') + 2);
  throw new InputError(
    `${input.path}:${lines}`,
    `the recording is cut short: its last line is incomplete (${detail})`,
  );
}
