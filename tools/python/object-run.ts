// Object scripts (*.pyobj): runs statements on a Python heap and observes each.
//
// The script's names are roots in a map from name to address, one reference each. Literals and
// classes are made before the first statement, so they cost nothing where they are used.

import type { NamedRoots } from '../inspect/subject.ts';
import { InputError } from '../../kernel/errors.ts';
import {
  checkReferences,
  KIND_SET,
  KIND_WEAKREF,
  type PythonRuntime,
} from '../../runtime/index.ts';
import type { Action, Expression, Name, Observation, Operand, Statement } from './object-ast.ts';
import { collectorStats, observe } from './object-observe.ts';
import { CallLog } from './call-log.ts';
import { Containers, PyError } from './object-ops.ts';
import { Before, characters } from './object-before.ts';

export class ObjectScript {
  private readonly file: string;
  private readonly py: PythonRuntime;
  private readonly ops: Containers;
  private readonly log = new CallLog();
  private readonly names = new Map<string, number>();
  private readonly before: Before;
  private readonly labels = new Map<number, string>();
  /** What an instance's finalizer binds it to, by its address. */
  private readonly resurrections = new Map<number, string>();
  /** Names bound to weak references whose object is alive. */
  private readonly aliveRefs = new Map<string, number>();
  private readonly callback: number;
  private line = 0;
  private at = 0;
  private isRange = false;
  // what happened during the statement
  private finalized: string[] = [];
  private callbacks: string[] = [];
  private collections: object[] = [];

  constructor(file: string, py: PythonRuntime) {
    this.file = file;
    this.py = py;
    this.ops = new Containers(py);
    this.before = new Before(py, (self) => {
      this.finalized.push(this.labels.get(self) ?? '');
      const name = this.resurrections.get(self);
      if (name === undefined) return;
      py.core.incref(self);
      this.bind(name, self);
    });
    this.callback = py.scalars.str('callback');
    py.core.incref(this.callback);
    py.weakrefs.call = (_, ref) => this.callbacks.push(this.labels.get(ref) ?? '');
    py.gc.onCollection = ({ generation, collected, uncollectable }) => {
      const done = { generation, collected, uncollectable };
      this.collections.push(this.isRange ? { at: this.at, ...done } : done);
    };
  }

  /** Runs the statements, in order, and gives each one's observation to `print`. */
  run(statements: readonly Statement[], print: (observation: object) => void): void {
    this.prepare(statements);
    for (const s of statements) print(this.step(s));
  }

  /** Makes what is there before the first statement: literals, code. */
  prepare(statements: readonly Statement[]): void {
    for (const s of statements) this.before.prepare(s.action);
    this.py.gc.freeze();
    this.py.core.observer = this.log;
  }

  /** Throws KernelBug where the heap is not sound: structures, and counts against references. */
  check(): void {
    this.py.check();
    const pinned = new Set([...this.before.literals, this.callback]);
    checkReferences(this.py, [...this.names.values()], pinned);
  }

  /** Runs one statement; prepare() comes first. @returns its observation */
  step(s: Statement): object {
    const { py } = this;
    const call = s.action.is === 'bind' ? s.action.value.is : s.action.is;
    const out: Record<string, unknown> = { line: s.line, call };
    if (s.name !== null) out['name'] = s.name.text;
    this.line = s.line;
    this.isRange = s.isRange;
    const returned: unknown[] = [];
    const sizes: [number, number][] = [];
    try {
      for (this.at = 0; this.at < s.times; this.at++) {
        const value = this.act(s.action, sizes);
        if (value !== undefined) returned.push(value);
        py.gc.runRequested();
      }
    } catch (e) {
      if (!(e instanceof PyError)) throw e;
      out['error'] = e.type;
      this.ops.raise(e);
      py.gc.runRequested();
    }
    if (s.action.is === 'stats') out['stats'] = returned[0];
    else if (s.isRange && returned.length > 0) out['ret'] = returned;
    else if (returned.length > 0) out['ret'] = returned[0];
    if (sizes.length > 0) out['sizes'] = sizes;
    const calls = this.log.take();
    if (out['error'] === undefined) {
      out['count'] = [0, 1, 2].map((i) => py.gc.count(i));
      if (calls.length > 0) out['mem'] = calls;
    }
    this.report(out);
    return out;
  }

  private report(out: Record<string, unknown>): void {
    if (this.collections.length > 0) out['gc'] = this.collections;
    const died: string[] = [];
    for (const [name, ref] of this.aliveRefs) {
      if (this.py.weakrefs.isAlive(ref)) continue;
      died.push(name);
      this.aliveRefs.delete(name);
    }
    if (died.length > 0) out['died'] = died.sort();
    if (this.finalized.length > 0) out['finalized'] = this.finalized;
    if (this.callbacks.length > 0) out['callbacks'] = this.callbacks;
    this.collections = [];
    this.finalized = [];
    this.callbacks = [];
  }

  private act(a: Action, sizes: [number, number][]): unknown {
    const { ops, py } = this;
    switch (a.is) {
      case 'bind':
        this.assign(a.to, a.value);
        return undefined;
      case 'append':
        ops.append(this.value(a.of), this.value(a.value));
        return undefined;
      case 'extend':
        ops.extend(this.value(a.of), this.value(a.value));
        return undefined;
      case 'add':
        ops.add(this.value(a.of), this.value(a.value));
        return undefined;
      case 'discard':
        ops.discard(this.value(a.of), this.value(a.value));
        return undefined;
      case 'insert':
        ops.insert(this.value(a.of), a.at, this.value(a.value));
        return undefined;
      case 'pop': {
        const item = ops.pop(this.value(a.of));
        py.gc.runRequested();
        py.core.decref(item);
        return undefined;
      }
      case 'clear':
        ops.clear(this.value(a.of));
        return undefined;
      case 'del':
        this.unbind(a.of);
        return undefined;
      case 'setitem':
        ops.setItem(this.value(a.of), this.value(a.key), this.value(a.value));
        return undefined;
      case 'setattr':
        ops.setAttribute(this.value(a.of), this.before.string(a.attribute), this.value(a.value));
        return undefined;
      case 'delitem':
        ops.deleteItem(this.value(a.of), this.value(a.key));
        return undefined;
      case 'delattr':
        ops.setAttribute(this.value(a.of), this.before.string(a.attribute), 0);
        return undefined;
      case 'is':
        return this.value(a.of) === this.value(a.other);
      case 'grow':
      case 'fill':
      case 'drain':
        this.bulk(a, sizes);
        return undefined;
      default:
        return this.collectorAction(a);
    }
  }

  private collectorAction(a: Action): unknown {
    const { gc } = this.py;
    switch (a.is) {
      case 'collect':
        return gc.collect(a.generation);
      case 'gc.disable':
        gc.enabled = false;
        return undefined;
      case 'gc.enable':
        gc.enabled = true;
        return undefined;
      case 'gc.freeze':
        this.py.core.decref(this.py.scalars.str('freeze')); // a method called by its name
        gc.freeze();
        return undefined;
      case 'gc.set_threshold':
        a.values.forEach((value, i) => gc.setThreshold(i, value));
        return undefined;
      case 'stats':
        return collectorStats(this.py);
      default:
        return 'of' in a ? this.observe(a.is as Observation, this.value(a.of)) : undefined;
    }
  }

  private observe(what: Observation, op: number): unknown {
    if (what === 'refcount' && this.before.literals.has(op)) return 'shared';
    return what === 'len' ? this.ops.length(op) : observe(this.py, what, op);
  }

  private bulk(
    a: Extract<Action, { is: 'grow' | 'fill' | 'drain' }>,
    sizes: [number, number][],
  ): void {
    const { core } = this.py;
    const op = this.value(a.of);
    const note = (): void => {
      const size = this.py.sizeof(op);
      if (sizes.at(-1)?.[1] !== size) sizes.push([this.ops.length(op), size]);
    };
    note();
    if (a.is === 'grow') {
      const value = this.value(a.value);
      for (let i = 0; i < a.times; i++) {
        this.ops.append(op, value);
        note();
      }
      return;
    }
    if (a.is === 'drain' && a.times !== null) {
      for (let i = 0; i < a.times; i++) {
        core.decref(this.ops.pop(op));
        note();
      }
      return;
    }
    for (let k = a.first; k <= a.last; k++) {
      const { scalars } = this.py;
      const key = a.prefix === null ? scalars.int(k) : scalars.str(`${a.prefix}${k}`);
      if (a.is === 'fill') {
        if (a.value === null) this.ops.add(op, key);
        else this.ops.setItem(op, key, this.value(a.value));
      } else if (core.kindOf(op) === KIND_SET) this.ops.discard(op, key);
      else this.ops.deleteItem(op, key);
      core.decref(key);
      note();
    }
  }

  /** The script's names as roots, for whoever asks what holds an object. */
  readonly namedRoots: NamedRoots = (visit) => {
    for (const [name, op] of this.names) visit(`the name ${name}`, op);
  };

  private keyOf(name: Name): string {
    if (name.indices === null) return name.base;
    return `${name.base}@${name.indices[name.isRange ? this.at : 0] ?? 0}`;
  }

  private lookup(key: string, name: Name): number {
    const op = this.names.get(key);
    if (op === undefined)
      throw new InputError(
        `${this.file}:${name.line}:${name.column}`,
        `${key} is bound to nothing`,
      );
    return op;
  }

  /** The object of an operand, borrowed. */
  private value(o: Operand): number {
    switch (o.is) {
      case 'name':
        return this.lookup(this.keyOf(o), o);
      case 'none':
        return this.py.scalars.none;
      case 'int':
        return this.before.integer(o.value);
      case 'string':
        return this.before.string(o.text);
    }
  }

  /** Binds a name to a reference that it takes over, then drops what it held. */
  private bind(key: string, op: number): void {
    const old = this.names.get(key);
    this.names.set(key, op);
    const { core, weakrefs } = this.py;
    if (core.kindOf(op) === KIND_WEAKREF && weakrefs.isAlive(op)) this.aliveRefs.set(key, op);
    else this.aliveRefs.delete(key);
    if (old !== undefined) core.decref(old);
  }

  private unbind(name: Name): void {
    const key = this.keyOf(name);
    const op = this.lookup(key, name);
    this.names.delete(key);
    this.aliveRefs.delete(key);
    this.py.core.decref(op);
  }

  private assign(to: Name, e: Expression): void {
    const { core, gc } = this.py;
    const key = this.keyOf(to);
    const op = this.evaluate(e);
    const isCall = ['instance', 'set', 'ref', 'deref', 'pop'].includes(e.is);
    const isNew = e.is === 'instance' || (e.is === 'ref' && core.refcount(op) === 1);
    if (isNew) this.labels.set(op, `${key}:${this.line}`);
    if (isCall) gc.runRequested();
    this.bind(key, op);
  }

  /** A new reference to what an expression gives. */
  private evaluate(e: Expression): number {
    const { ops, py } = this;
    const { scalars } = py;
    switch (e.is) {
      case 'list':
      case 'tuple':
        return this.display(e.is, e);
      case 'dict':
        return py.dicts.make();
      case 'set':
        return py.sets.make();
      case 'int':
        return this.before.number(e.literal);
      case 'float':
        return scalars.float(e.value);
      case 'str':
        if (e.length === 1 && e.kind.startsWith('ucs'))
          return this.borrowed(this.before.string(String.fromCodePoint(characters[e.kind])));
        return scalars.repeat(characters[e.kind], e.length, e.kind);
      case 'bytes':
        return scalars.bytes(e.length);
      case 'instance': {
        const op = py.instances.make(this.before.classOf(e.options));
        if (e.options.resurrect === null) this.resurrections.delete(op);
        else this.resurrections.set(op, e.options.resurrect);
        return op;
      }
      case 'ref': {
        const ref = py.weakrefs.make(this.value(e.of), e.callback ? this.callback : 0);
        if (ref === 0) throw new PyError('TypeError');
        return ref;
      }
      case 'alias':
        return this.borrowed(this.value(e.of));
      case 'getitem':
        return ops.getItem(this.value(e.of), this.value(e.key));
      case 'getattr':
        return ops.getAttribute(this.value(e.of), this.before.string(e.attribute));
      case 'pop':
        return ops.pop(this.value(e.of));
      case 'deref': {
        const ref = this.value(e.of);
        if (py.core.kindOf(ref) !== KIND_WEAKREF) throw new PyError('TypeError');
        return this.borrowed(py.weakrefs.referent(ref));
      }
    }
  }

  private borrowed(op: number): number {
    this.py.core.incref(op);
    return op;
  }

  private display(
    kind: 'list' | 'tuple',
    e: Extract<Expression, { is: 'list' | 'tuple' }>,
  ): number {
    const { py } = this;
    const items: number[] = [];
    if (e.length !== null) for (let i = 0; i < e.length; i++) items.push(py.scalars.none);
    for (const item of e.items) {
      if (item.is !== 'star') items.push(this.value(item));
      else
        for (const i of item.name.indices ?? [])
          items.push(this.lookup(`${item.name.base}@${i}`, item.name));
    }
    const into = kind === 'list' ? py.lists : py.tuples;
    // The items are on the interpreter's stack when the container is made.
    for (const item of items) py.core.incref(item);
    const op = into.make(items.length);
    items.forEach((item, i) => {
      if (kind === 'list') py.lists.initItem(op, i, item);
      else py.tuples.setItem(op, i, item);
    });
    if (kind === 'tuple' && e.length === null) py.tuples.made(op);
    return op;
  }
}
