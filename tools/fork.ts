// What a fork's memory costs later: a warm heap is forked, and the children read it, collect and
// make objects of their own. Every page that one of them writes becomes its own.
//
//     machine 1   program, then one process does a child's work; what it touches is logged
//     machine 2   program, fork() n times, then the log is played in each child in turns
//
//   phase        in CPython it writes                        in Go
//   reading      the count of each object that is read       nothing
//   collecting   the collector's head of each container      mark bits, at the ends of small
//                that is not frozen                          objects' spans and beside the heap
//   new objects  pools that have free blocks                 spans that have free slots
//
// Exact are the pages and when each is first written; a child's work is the same in each child. A
// child reads every object that main's variables lead to, once. Not modelled: what the interpreter
// or the C library writes of its own after a fork, and that a Go program with several threads can
// only fork to exec; the child here is the runtime alone.

import { InputError } from '../kernel/errors.ts';
import { PAGE_SIZE } from '../kernel/types.ts';
import { forEachReference } from '../runtime/python/fsck.ts';
import { ProcessMemory } from '../runtime/process-memory.ts';
import { GoHeap } from '../runtime/workload/go-heap.ts';
import { type Program, runProgram } from '../runtime/workload/heap.ts';
import type { PythonHeap } from '../runtime/workload/python-heap.ts';
import type { Task } from '../userspace/process.ts';
import { Smaps, smapsOf } from '../userspace/smaps.ts';
import { System } from '../userspace/system.ts';
import { VM_SHARED } from '../userspace/vma.ts';
import { AccessLog, Player } from './access-log.ts';
import { startCase, type StartedCase } from './cases.ts';
import { GoGraph } from './inspect/pins/go-graph.ts';

export const PHASES = ['reading', 'collecting', 'new objects'] as const;
export type Phase = (typeof PHASES)[number];

/** Objects that a child makes of its own, and drops. */
const OWN_OBJECTS = 10000;
const SAMPLES = 60;

export interface ForkOptions {
  readonly ram: number;
  readonly scale: number;
  /** Children. */
  readonly children: number;
}

/** A child's private memory, as its smaps sum it up, in bytes. */
export interface ForkMoment {
  readonly ns: number;
  readonly sharedDirty: number;
  readonly privateDirty: number;
  readonly pss: number;
}

export interface ForkResult {
  readonly name: string;
  readonly children: number;
  /** Of the first child: after fork(), and after each phase. */
  readonly after: Readonly<Record<'fork' | Phase, ForkMoment>>;
  /** Over the children's time. */
  readonly course: readonly ForkMoment[];
  /** Of the whole machine: frames in use at the end, less those right after the forks. */
  readonly grownBytes: number;
}

/** Forks each case's heap. @throws InputError where there are no children */
export function runForks(
  program: Program,
  names: readonly string[],
  options: ForkOptions,
): ForkResult[] {
  if (options.children < 1) throw new InputError('', '--fork: expected at least one child');
  return names.map((name) => runFork(program, name, options));
}

function runFork(program: Program, name: string, options: ForkOptions): ForkResult {
  const { log, ends } = childsWork(program, name, options);
  const { started } = warm(program, name, options);
  const { system } = started.memory;
  const players: Player[] = [];
  const tasks: Task[] = [];
  for (let i = 0; i < options.children; i++) {
    const task = system.fork(started.task);
    tasks.push(task);
    const child = { ...started, task, memory: new ProcessMemory(system, task) };
    players.push(new Player(log, child));
  }
  const [first] = tasks;
  const [player] = players;
  if (first === undefined || player === undefined) throw new InputError('', 'no child');
  const before = system.machine.alloc.freePages;
  const start = started.heap.clock.ns;
  const course: ForkMoment[] = [momentOf(first, 0)];
  const after = { fork: momentOf(first, 0) } as Record<'fork' | Phase, ForkMoment>;
  const step = Math.max(1, (ends.at(-1)?.ns ?? 0) - start) / SAMPLES;
  for (let phase = 0; players.some((p) => !p.done);) {
    const end = ends[phase];
    for (const p of players) p.slot();
    const now = player.ns - start;
    const phaseName = PHASES[phase];
    if (
      end !== undefined &&
      phaseName !== undefined &&
      (player.position >= end.at || player.done)
    ) {
      const moment = momentOf(first, now);
      after[phaseName] = moment;
      phase++;
      course.push(moment);
    } else if (now >= (course.at(-1)?.ns ?? 0) + step) course.push(momentOf(first, now));
  }
  const grownBytes = (before - system.machine.alloc.freePages) * PAGE_SIZE;
  return { name, children: options.children, after, course, grownBytes };
}

interface Warm {
  readonly started: StartedCase;
  /** Makes so many objects, and drops them. */
  readonly makeOwn: (count: number) => void;
}

/** A process whose program has run, its main not ended. */
function warm(program: Program, name: string, options: ForkOptions): Warm {
  const started = startCase(new System({ ram: options.ram }), name);
  const { heap } = started;
  const Own = heap.record('Own', { id: 'int', name: 'string', score: 'float' });
  const list = heap.list('ref');
  const makeOwn = (count: number): void => {
    heap.scope(() => {
      const own = list.make();
      heap.loop(count, (i) => {
        list.push(own, Own.make(i, heap.concat(heap.string('new '), heap.digits(i)), i / 4));
      });
    });
  };
  makeOwn(1); // the class is there before the fork, as all code is
  runProgram(heap, program, options.scale);
  if (heap.runtime === 'python' && heap.options.gc === 'freeze') heap.py.gc.freeze();
  return { started, makeOwn };
}

interface PhaseEnd {
  /** Where in the log. */
  readonly at: number;
  readonly ns: number;
}

/** Does a child's work in a machine of its own. */
function childsWork(
  program: Program,
  name: string,
  options: ForkOptions,
): { log: AccessLog; ends: PhaseEnd[] } {
  const { started, makeOwn } = warm(program, name, options);
  const { heap } = started;
  const log = new AccessLog();
  log.watch(started);
  const ends: PhaseEnd[] = [];
  const end = (): void => {
    heap.clock.watch?.(heap.clock.ns);
    ends.push({ at: log.length, ns: heap.clock.ns });
  };
  if (heap instanceof GoHeap) readGo(heap, started.task);
  else readPython(heap);
  end();
  collect(heap);
  end();
  makeOwn(OWN_OBJECTS);
  end();
  return { log, ends };
}

function collect(heap: GoHeap | PythonHeap): void {
  if (heap instanceof GoHeap) {
    const [proc] = heap.go.procs;
    if (proc !== undefined) heap.go.gc.collect(proc);
  } else if (heap.options.gc !== 'disable') heap.py.gc.collect(2);
}

/** A reference is taken to every object, and given up. */
function readPython(heap: PythonHeap): void {
  const { core } = heap.py;
  const seen = new Set<number>();
  const todo: number[] = [];
  const meet = (op: number): void => {
    if (op === 0) return;
    heap.clock.access();
    core.incref(op);
    core.decref(op);
    if (seen.has(op)) return;
    seen.add(op);
    todo.push(op);
  };
  heap.frames.forEachRoot((_, op) => meet(op));
  for (let i = 0; i < todo.length; i++) forEachReference(heap.py, todo[i] ?? 0, meet);
}

/** Every word of every object is read. */
function readGo(heap: GoHeap, task: Task): void {
  const graph = new GoGraph(heap.go, task.mm);
  const seen = new Set<number>();
  const todo: number[] = [];
  const meet = (object: number): void => {
    if (seen.has(object)) return;
    seen.add(object);
    todo.push(object);
  };
  graph.roots((root, object) => {
    if (root.startsWith('variable')) meet(object);
  });
  for (let i = 0; i < todo.length; i++) {
    const object = todo[i] ?? 0;
    const bytes = graph.spanAt(object)?.size ?? 0;
    for (let at = object; at < object + bytes; at += 8) heap.go.mem.touch(at, false);
    heap.clock.run(bytes / 8);
    graph.references(object, meet);
  }
}

/** What a process has for itself of the memory that is private to its address space. */
function momentOf(task: Task, ns: number): ForkMoment {
  let sharedDirty = 0;
  let privateDirty = 0;
  let pss = 0;
  for (const vma of task.mm.vmas) {
    if ((vma.flags & VM_SHARED) !== 0) continue;
    const s = smapsOf(vma);
    sharedDirty += s.sharedDirty;
    privateDirty += s.privateDirty;
    pss += s.pss;
  }
  return { ns, sharedDirty, privateDirty, pss: Smaps.kib(pss) * 1024 };
}
