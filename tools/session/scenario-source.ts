// A page-fault scenario as a session's source: a step is a statement.

import { EmulatedTarget } from '../scenario/emulated.ts';
import { parseScenario } from '../scenario/parse.ts';
import type { Observation } from '../scenario/observe.ts';
import { Runner } from '../scenario/run.ts';
import { type Driver, plainProcesses, type Source } from './source.ts';

/** @throws InputError where the text is no scenario */
export function scenarioSource(name: string, text: string): Source {
  const scenario = parseScenario(name, text);
  const lines = text.split('\n');
  const { statements } = scenario;
  const lineOf = (step: number): number => statements[step]?.line ?? 0;
  return {
    kind: 'scenario',
    name,
    length: statements.length,
    lines: text.replace(/\n$/, '').split('\n').length,
    lineOf,
    label: (step) => (lines[lineOf(step) - 1] ?? '').replace(/#.*$/, '').trim(),
    start: (): Driver => {
      let next = 0;
      const target = new EmulatedTarget();
      const runner = new Runner(scenario, target);
      runner.begin();
      return {
        system: target.running,
        processes: () => plainProcesses(target.running),
        get done() {
          return runner.done;
        },
        get endsProcess() {
          return statements[next]?.call === 'exit';
        },
        step: () => {
          next++;
          return outcome(runner.next());
        },
      };
    },
  };
}

/** An observation in a few words. */
function outcome(o: Observation | undefined): string {
  if (o === undefined) return 'the process is gone';
  const say = (key: string): string | undefined => {
    const value = o[key];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  };
  const parts: string[] = [];
  const errno = say('errno');
  const ret = say('ret');
  const value = say('value');
  const signal = say('signal');
  if (errno !== undefined) parts.push(errno);
  else if (ret !== undefined) parts.push(`= ${ret}`);
  if (value !== undefined) parts.push(`value ${value}`);
  if (signal !== undefined) parts.push(`${signal} ${say('code') ?? ''}`);
  for (const [key, name] of FAULTS) {
    const n = say(key) ?? '0';
    if (n !== '0') parts.push(`${n} ${name}`);
  }
  return parts.join(', ');
}

const FAULTS = [
  ['minflt', 'minor'],
  ['majflt', 'major'],
] as const;
