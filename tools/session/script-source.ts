// Allocation scripts as a session's source: a step is a statement of a Go heap script (*.heap), of
// a raw script or of an object script (*.pyraw, *.pyobj) of CPython.

import { go126, type GoProfile } from '../../runtime/go/profile.ts';
import { GoRuntime } from '../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import type { ProfileName } from '../../runtime/python/profile.ts';
import { PythonRuntime } from '../../runtime/python/runtime.ts';
import { System } from '../../userspace/system.ts';
import { defaultBase } from '../heap-base-figures.ts';
import { prepareHeap } from '../heap-base.ts';
import { parseHeapScript } from '../heap-script.ts';
import { HeapScriptRunner } from '../heap-script-run.ts';
import { ObjectScript } from '../python/object-run.ts';
import { parseObjects } from '../python/object-script.ts';
import { AllocatorProbe } from '../python/probe.ts';
import { parseRaw, stepRaw } from '../python/raw.ts';
import { story } from '../python/story.ts';
import { type Driver, plainProcesses, type SessionHeap, type Source } from './source.ts';

const DEFAULT_RAM = 2 ** 30;
/** Parts of an observation that the step's label says, or that nobody reads. */
const NOT_SHOWN: readonly string[] = ['line', 'op', 'abs', 'near'];

interface Script {
  readonly name: string;
  readonly text: string;
  readonly ram: number | undefined;
  readonly statements: readonly { readonly line: number }[];
  /** A runtime in a process of `system`, ready to run; @returns what runs statement i. */
  readonly begin: (system: System) => {
    heap: SessionHeap;
    step: (i: number) => string;
  };
}

function source({ name, text, ram, statements, begin }: Script): Source {
  const lines = text.split('\n');
  const lineOf = (step: number): number => statements[step]?.line ?? 0;
  return {
    kind: 'script',
    name,
    length: statements.length,
    lines: text.replace(/\n$/, '').split('\n').length,
    lineOf,
    label: (step) => (lines[lineOf(step) - 1] ?? '').replace(/#.*$/, '').trim(),
    start: (): Driver => {
      const system = new System({ ram: ram ?? DEFAULT_RAM });
      const { heap, step } = begin(system);
      let next = 0;
      return {
        system,
        processes: () => plainProcesses(system).map((p) => ({ ...p, heap })),
        get done() {
          return next >= statements.length;
        },
        step: () => {
          const seen = step(next); // may be left in the middle
          next++;
          return seen;
        },
      };
    },
  };
}

/** A Go heap script. @throws InputError where the text is none */
export function goScriptSource(
  name: string,
  text: string,
  profile: GoProfile = go126,
  ram?: number,
): Source {
  const script = parseHeapScript(text, name);
  const { bare, stw } = script.modes;
  const base = defaultBase(profile.name, bare ? 'bare' : stw ? 'stw' : 'full');
  const { statements } = script;
  return source({
    name,
    text,
    ram,
    statements,
    begin: (system) => {
      const go = new GoRuntime(new ProcessMemory(system, newProcess(system, 'go')), { profile });
      prepareHeap(go, base);
      let seen = '';
      const runner = new HeapScriptRunner(go, base, script, name, (o) => {
        const shown = Object.entries(o).filter(([key]) => !NOT_SHOWN.includes(key));
        seen = JSON.stringify(Object.fromEntries(shown));
      });
      const step = (i: number): string => {
        seen = '';
        runner.step(statements[i]!);
        return seen;
      };
      return { heap: { runtime: 'go', go }, step };
    },
  });
}

/** A raw or object script of CPython. @throws InputError where the text is none */
export function pythonScriptSource(
  name: string,
  text: string,
  version: ProfileName = '3.11',
  ram?: number,
): Source {
  const raw = name.endsWith('.pyraw') ? parseRaw(name, text) : undefined;
  const objects = raw === undefined ? parseObjects(name, text) : [];
  return source({
    name,
    text,
    ram,
    statements: raw ?? objects,
    begin: (system) => {
      const memory = new ProcessMemory(system, newProcess(system, 'python'));
      const py = new PythonRuntime(memory, version);
      const heap: SessionHeap = { runtime: 'python', py };
      if (raw !== undefined) {
        const probe = new AllocatorProbe(py.mem, py.obmalloc);
        const blocks = new Map<string, number>();
        return { heap, step: (i) => story(stepRaw(raw[i]!, blocks, probe)) };
      }
      const script = new ObjectScript(name, py);
      script.prepare(objects);
      return {
        heap: { ...heap, named: script.namedRoots },
        step: (i) => story(script.step(objects[i]!)),
      };
    },
  });
}
