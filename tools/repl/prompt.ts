// The prompt: a line in, lines out. It knows all words; others read the lines and print.

import { InputError, KernelBug } from '../../kernel/errors.ts';
import type { Session } from '../session/session.ts';
import { HEAP_WORDS } from './heap-words.ts';
import { MEMORY_WORDS } from './memory-words.ts';
import { TIME_WORDS } from './time-words.ts';
import { Prompt, type Word } from './words.ts';

const help: Word = {
  name: 'help',
  usage: 'help [WORD]',
  what: 'all words, or one with examples',
  examples: ['help vtop'],
  completions: () => WORDS.map((word) => word.name),
  run: (_prompt, [name]) => {
    if (name !== undefined) {
      const word = wordOf(name);
      return [word.usage, `  ${word.what}`, ...word.examples.map((e) => `  > ${e}`)];
    }
    const longest = Math.max(...WORDS.map((word) => word.name.length));
    const all = WORDS.map((word) => `  ${word.name.padEnd(longest)}  ${word.what}`);
    return [
      ...all,
      '  quit',
      'Words may be shortened where they stay clear. `help WORD` has examples.',
    ];
  },
};

/** All words, in the order in which help shows them. */
const WORDS: readonly Word[] = [...TIME_WORDS, ...MEMORY_WORDS, ...HEAP_WORDS, help];

/** The word of this name, or the only one that begins so. @throws InputError */
function wordOf(name: string): Word {
  const exact = WORDS.find((word) => word.name === name);
  if (exact !== undefined) return exact;
  const like = WORDS.filter((word) => word.name.startsWith(name));
  if (like.length === 1 && like[0] !== undefined) return like[0];
  const which = like.length > 1 ? `: ${like.map((word) => word.name).join(', ')}?` : '; try `help`';
  throw new InputError('', `no word '${name}'${which}`);
}

export class Repl {
  private readonly prompt: Prompt;

  constructor(session: Session) {
    this.prompt = new Prompt(session);
  }

  /** Runs one line. @returns what to print. @throws InputError where it is malformed */
  run(line: string): readonly string[] {
    const [name, ...args] = line.replace(/#.*$/, '').trim().split(/\s+/);
    if (name === undefined || name === '') return [];
    try {
      return wordOf(name).run(this.prompt, args);
    } catch (e) {
      // fsck says what is not sound; at the prompt that is an answer.
      if (e instanceof KernelBug && wordOf(name).name === 'fsck')
        return [`NOT sound: ${e.message}`];
      throw e;
    }
  }

  /** What the end of `line` may become: the candidates, and the part that they replace. */
  complete(line: string): [string[], string] {
    const tokens = line.trimStart().split(/\s+/);
    const last = tokens.at(-1) ?? '';
    const candidates =
      tokens.length === 1
        ? [...WORDS.map((word) => word.name), 'quit']
        : (WORDS.find((word) => word.name === tokens[0])?.completions?.(this.prompt) ?? []);
    return [candidates.filter((c) => c.startsWith(last)), last];
  }
}
