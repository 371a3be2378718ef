// The differential fuzzer: random scenarios on both kernels; what differs is shrunk and written
// down, with what Linux printed, so that it can become a test.
//
// A difference counts only if Linux says the same twice: what it does not (huge pages that could
// not be had, a frame that was freed and used again within one statement) is noise of the host.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import seedrandom from 'seedrandom';
import { compareRuns, type Difference } from './compare.ts';
import { EmulatedTarget } from './emulated.ts';
import { type Observation, ProcessKilled, type Target } from './observe.ts';
import { parseScenario } from './parse.ts';
import { randomScenario } from './random.ts';
import { Runner } from './run.ts';
import { shrink } from './shrink.ts';
import { TOP } from './topics.ts';

export interface FuzzOptions {
  readonly n: number;
  readonly seed: string;
  readonly topics: readonly string[];
  readonly statements: number;
  readonly out: string;
}

/** Runs `n` random scenarios. @returns how many differed. */
export function fuzz(linux: Target, options: FuzzOptions, say: (line: string) => void): number {
  let failed = 0;
  for (let i = 0; i < options.n; i++) {
    const topic = options.topics[i % options.topics.length] ?? 'anon';
    const prng = seedrandom.alea(`${options.seed}/${topic}/${i}`);
    const text = randomScenario(prng, topic, options.statements);
    const found = differs(linux, text.split('\n'));
    if (found === undefined) continue;
    failed++;
    const name = `found-${topic}-${options.seed}-${i}`;
    const fails = (some: readonly string[]): boolean =>
      some.includes(TOP) && differs(linux, some) !== undefined;
    const lines = shrink(text.trimEnd().split('\n'), fails);
    const last = differs(linux, lines);
    if (last === undefined) continue;
    const head = `# Random scenario ${name}, shrunk.`;
    const again = differs(linux, [head, ...lines]) ?? last;
    writeFileSync(join(options.out, `${name}.scn`), [head, ...lines, ''].join('\n'));
    const expected = again.linux.map((o) => JSON.stringify(o)).join('\n') + '\n';
    writeFileSync(join(options.out, `${name}.expected.jsonl`), expected);
    const { line, what, expected: want, got } = again.first;
    const where = [head, ...lines][line - 1] ?? '';
    say(`${name}.scn:${line}: ${where}\n    ${what}: Linux ${want}, pagewalk ${got}`);
  }
  say(`${options.n} random scenarios, ${failed} differ`);
  return failed;
}

interface Found {
  readonly first: Difference;
  readonly linux: readonly Observation[];
}

/** Runs the lines on both kernels. @returns the first difference, where there is a steady one. */
function differs(linux: Target, lines: readonly string[]): Found | undefined {
  let scenario;
  try {
    scenario = parseScenario('random', lines.join('\n'));
  } catch {
    return undefined;
  }
  try {
    const theirs = new Runner(scenario, linux).run();
    const first = firstDifference(theirs, ours(scenario));
    if (first === undefined) return undefined;
    const again = new Runner(scenario, linux).run();
    return compareRuns(theirs, again).length === 0 ? { first, linux: theirs } : undefined;
  } catch (e) {
    if (e instanceof ProcessKilled) return undefined; // it met the program image
    throw e;
  }
}

/**
 * A frame that one statement freed and took again keeps its label on Linux, because the host cannot
 * be watched within a statement; ours gives it a new one.
 */
function isReusedFrame(d: Difference): boolean {
  return d.what.endsWith(' frame') && d.got.endsWith('(new)');
}

type Ours = readonly Observation[] | Error;

/** Our run; what it threw where it failed, which differs from everything. */
function ours(scenario: ReturnType<typeof parseScenario>): Ours {
  try {
    return new Runner(scenario, new EmulatedTarget()).run();
  } catch (e) {
    return e instanceof Error ? e : new Error(String(e));
  }
}

function firstDifference(theirs: readonly Observation[], run: Ours): Difference | undefined {
  if (!(run instanceof Error)) return compareRuns(theirs, run).find((d) => !isReusedFrame(d));
  return { line: 1, what: 'pagewalk', expected: 'no error', got: run.stack ?? run.message };
}
