// Operations of the language on objects of any kind, with the exceptions that they raise.

import {
  KIND_BYTES,
  KIND_DICT,
  KIND_INSTANCE,
  KIND_INT,
  KIND_LIST,
  KIND_SET,
  KIND_STR,
  KIND_TUPLE,
  type PythonRuntime,
} from '../../runtime/index.ts';

/** PyBaseExceptionObject. */
const EXCEPTION_BYTES = 72;

/** An exception of the language: the statement raised. */
export class PyError extends Error {
  override readonly name = 'PyError';
  readonly type: string;
  constructor(type: string) {
    super(type);
    this.type = type;
  }
}

export class Containers {
  private readonly py: PythonRuntime;
  constructor(py: PythonRuntime) {
    this.py = py;
  }

  /** What raising and dropping an exception does to the heap: its arguments are a tuple, which goes
   * to the tuples' free list. */
  raise(e: PyError): void {
    const { core, gc, profile, scalars, tuples } = this.py;
    const isMade = profile.eagerExceptions;
    if (!isMade && e.type !== 'KeyError') return;
    const args = tuples.make(1);
    tuples.setItem(args, 0, scalars.str(e.type));
    const exception = isMade ? gc.alloc(EXCEPTION_BYTES) : 0;
    core.decref(args);
    if (exception !== 0) gc.del(exception);
  }

  private need(op: number, kind: number, error = 'AttributeError'): void {
    if (this.py.core.kindOf(op) !== kind) throw new PyError(error);
  }

  length(op: number): number {
    const { core, dicts, lists, mem, sets, tuples } = this.py;
    switch (core.kindOf(op)) {
      case KIND_LIST:
        return lists.length(op);
      case KIND_TUPLE:
        return tuples.length(op);
      case KIND_DICT:
        return dicts.length(op);
      case KIND_SET:
        return sets.length(op);
      case KIND_STR:
      case KIND_BYTES:
        return mem.load64(op + 16);
      default:
        throw new PyError('TypeError');
    }
  }

  append(op: number, value: number): void {
    this.need(op, KIND_LIST);
    this.py.lists.append(op, value);
  }
  insert(op: number, at: number, value: number): void {
    this.need(op, KIND_LIST);
    this.py.lists.insert(op, at, value);
  }
  add(op: number, value: number): void {
    this.need(op, KIND_SET);
    if (!this.py.sets.add(op, value)) throw new PyError('TypeError');
  }
  discard(op: number, value: number): void {
    this.need(op, KIND_SET);
    if (!this.py.sets.discard(op, value)) throw new PyError('TypeError');
  }

  /** list.extend(); of a dict or set, its keys through an iterator. */
  extend(op: number, from: number): void {
    this.need(op, KIND_LIST);
    const { core, lists, tuples } = this.py;
    const kind = core.kindOf(from);
    if (kind === KIND_DICT || kind === KIND_SET) {
      this.extendByIterator(op, from, kind);
      return;
    }
    if (kind !== KIND_LIST && kind !== KIND_TUPLE) throw new PyError('TypeError');
    const n = this.length(from);
    if (n === 0) return;
    const first = lists.extendBy(op, n);
    for (let i = 0; i < n; i++) {
      const item = kind === KIND_LIST ? lists.item(from, i) : tuples.item(from, i);
      core.incref(item);
      lists.initItem(op, first + i, item);
    }
  }

  private extendByIterator(op: number, from: number, kind: number): void {
    const { core, dicts, gc, lists, mem, profile, sets } = this.py;
    const items: number[] = [];
    if (kind === KIND_DICT) dicts.forEach(from, (key) => items.push(key));
    else sets.forEach(from, (key) => items.push(key));
    if (profile.extendsDirectly) {
      const had = lists.length(op);
      lists.resize(op, had + items.length);
      items.forEach((item, i) => {
        core.incref(item);
        lists.initItem(op, had + i, item);
      });
      return;
    }
    const iterator = gc.alloc(kind === KIND_DICT ? 56 : 48);
    if (items.length > 0 || mem.load64(op + 24) !== 0) {
      const had = lists.length(op);
      if (mem.load64(op + 24) !== 0) lists.resize(op, had + items.length);
      else lists.extendBy(op, items.length);
      items.forEach((item, i) => {
        core.incref(item);
        lists.initItem(op, had + i, item);
      });
      if (lists.length(op) < mem.load64(op + 32)) lists.resize(op, lists.length(op));
    }
    gc.del(iterator);
  }

  /** x.pop(), of a list or set; the result is a new reference. */
  pop(op: number): number {
    const kind = this.py.core.kindOf(op);
    if (kind === KIND_LIST) {
      const item = this.py.lists.pop(op);
      if (item === 0) throw new PyError('IndexError');
      return item;
    }
    if (kind === KIND_SET) {
      const item = this.py.sets.pop(op);
      if (item === 0) throw new PyError('KeyError');
      return item;
    }
    throw new PyError(kind === KIND_DICT ? 'TypeError' : 'AttributeError');
  }

  clear(op: number): void {
    const { core, dicts, lists, sets } = this.py;
    const kind = core.kindOf(op);
    if (kind === KIND_LIST) lists.clear(op);
    else if (kind === KIND_DICT) dicts.clear(op);
    else if (kind === KIND_SET) sets.clear(op);
    else throw new PyError('AttributeError');
  }

  /** The index that an int object means in a sequence. */
  private index(key: number, length: number): number {
    this.need(key, KIND_INT, 'TypeError');
    const value = this.py.scalars.intValue(key);
    const i = value < 0 ? value + length : value;
    if (i < 0 || i >= length) throw new PyError('IndexError');
    return i;
  }

  /** x[key], a new reference. */
  getItem(op: number, key: number): number {
    const { core, dicts, lists, tuples } = this.py;
    let item: number;
    switch (core.kindOf(op)) {
      case KIND_LIST:
        item = lists.item(op, this.index(key, lists.length(op)));
        break;
      case KIND_TUPLE:
        item = tuples.item(op, this.index(key, tuples.length(op)));
        break;
      case KIND_DICT:
        item = dicts.get(op, key);
        if (item === -1) throw new PyError('TypeError');
        if (item === 0) throw new PyError('KeyError');
        break;
      case KIND_STR:
        return this.character(op, this.index(key, this.length(op)));
      case KIND_BYTES:
        return this.py.scalars.int(
          this.py.mem.load8(op + this.py.profile.bytesHeadBytes + this.index(key, this.length(op))),
        );
      default:
        throw new PyError('TypeError');
    }
    core.incref(item);
    return item;
  }

  private character(op: number, i: number): number {
    return this.py.scalars.str(Array.from(this.py.scalars.text(op))[i] ?? '');
  }

  setItem(op: number, key: number, value: number): void {
    const { core, dicts, lists } = this.py;
    const kind = core.kindOf(op);
    if (kind === KIND_LIST) lists.setItem(op, this.index(key, lists.length(op)), value);
    else if (kind !== KIND_DICT || !dicts.set(op, key, value)) throw new PyError('TypeError');
  }

  deleteItem(op: number, key: number): void {
    const { core, dicts, lists } = this.py;
    const kind = core.kindOf(op);
    if (kind === KIND_LIST) {
      lists.deleteItem(op, this.index(key, lists.length(op)));
      return;
    }
    if (kind !== KIND_DICT || dicts.get(op, key) === -1) throw new PyError('TypeError');
    if (!dicts.delete(op, key)) throw new PyError('KeyError');
  }

  /** x.name, a new reference. */
  getAttribute(op: number, name: number): number {
    this.need(op, KIND_INSTANCE);
    const value = this.py.instances.getAttribute(op, name);
    if (value === 0) throw new PyError('AttributeError');
    this.py.core.incref(value);
    return value;
  }

  /** x.name = value; value 0 deletes. */
  setAttribute(op: number, name: number, value: number): void {
    this.need(op, KIND_INSTANCE);
    if (!this.py.instances.setAttribute(op, name, value)) throw new PyError('AttributeError');
  }
}
