// The steps of a collection as text and data: which objects its list has, and what stands in their
// heads: gc_refs from `copy` to `sort`, read from the bytes.

import type { GcStep } from '../../runtime/python/gc-collection.ts';
import type { PythonRuntime } from '../../runtime/python/runtime.ts';

/** Objects of a step that are told at most. */
const MOST = 24;

/** An object on the list that a collection looks at. */
export interface GcObject {
  readonly object: string;
  readonly refcount: number;
  /** -1 where its head does not hold any: before `copy`, or once it was found reachable. */
  readonly gc_refs: number;
}

/** The objects of a step's list, MOST at most, and how many there are. */
export function gcObjects(py: PythonRuntime, list: number): { all: number; some: GcObject[] } {
  const { core, gc } = py;
  const some: GcObject[] = [];
  let all = 0;
  for (let head = gc.lists.next(list); head !== list; head = gc.lists.next(head)) {
    all++;
    if (some.length >= MOST) continue;
    const op = head + 16;
    const object = `${core.typeName(op)} 0x${op.toString(16)}`;
    some.push({ object, refcount: core.refcount(op), gc_refs: gc.gcRefs(op) });
  }
  return { all, some };
}

/** Number of objects, and `gc_refs/refcount` of each. */
export function gcRefsText(py: PythonRuntime, step: GcStep): { objects: number; refs: string } {
  const { all, some } = gcObjects(py, step.list);
  const refs = some.map((o) => {
    const known = o.gc_refs < 0 ? '-' : String(o.gc_refs);
    return `${o.object.replace(/^.* /, '')}:${known}/${String(o.refcount)}`;
  });
  return { objects: all, refs: refs.join(' ') + (all > some.length ? ' …' : '') };
}

/** A step as data, for observations. */
export function gcStepData(py: PythonRuntime, step: GcStep, generation: number): object {
  const { all, some } = gcObjects(py, step.list);
  const one = step.op === 0 ? {} : { op: `0x${step.op.toString(16)}` };
  return { step: step.step, generation, ...one, length: all, objects: some };
}

/** A step on a line of its own. */
export function gcStepText(step: object): string {
  const s = step as { step: string; generation: number; length: number; objects: GcObject[] };
  const objects = s.objects.map((o) => {
    const refs = o.gc_refs < 0 ? '' : `, gc_refs ${String(o.gc_refs)}`;
    return `${o.object} (refcount ${String(o.refcount)}${refs})`;
  });
  const more = s.length > s.objects.length ? ', …' : '';
  return `        gc ${s.step.padEnd(12)} ${[...objects].join(', ')}${more}`.trimEnd();
}
