// An LRU cache: a map and a linked list, entries of many sizes put in and thrown out.

import { newGoMap } from '../gomap.ts';
import { newString, touchBytes } from '../golang.ts';
import { type GoProgram, Lcg } from '../program.ts';

/** list.Element: next, prev, list, and an interface of two words. */
const ELEMENT_BYTES = 40;
/** A string and a slice. */
const ENTRY_BYTES = 40;
const LIST_BYTES = 48;
const MAX_BYTES = 8 << 20;
const SPRINTF_NS = 120;

interface Element {
  readonly at: number;
  readonly key: string;
  readonly bytes: number;
  next: Element;
  previous: Element;
}

export function lru(prog: GoProgram, n = 300000): void {
  const { types } = prog.go;
  const element = types.leading(ELEMENT_BYTES, 5);
  const entryMask = Int32Array.of(0b101);
  const entry = types.add({ name: 'entry', bytes: ENTRY_BYTES, ptrWords: 3, mask: entryMask });
  const list = prog.push(prog.new(LIST_BYTES, types.leading(LIST_BYTES, 5)));
  const byKey = newGoMap(prog, true);
  const elements = new Map<string, Element>();
  const root = { at: prog.slot(list), key: '', bytes: 0 } as Element;
  root.next = root.previous = root;
  let bytes = 0;
  const random = new Lcg(11);

  const link = (e: Element, after: Element): void => {
    e.previous = after;
    e.next = after.next;
    after.next.previous = e;
    after.next = e;
    prog.set(e.at, e.next.at);
    prog.set(e.at + 8, after.at);
    prog.set(after.at, e.at);
    prog.set(e.next.at + 8, e.at);
  };
  const unlink = (e: Element): void => {
    e.previous.next = e.next;
    e.next.previous = e.previous;
    prog.set(e.previous.at, e.next.at);
    prog.set(e.next.at + 8, e.previous.at);
  };
  const put = (key: string, keySlot: number, size: number): void => {
    const data = prog.push(prog.new(size));
    touchBytes(prog, prog.slot(data), prog.slot(data) + size);
    const value = prog.push(prog.new(ENTRY_BYTES, entry));
    prog.set(prog.slot(value), prog.slot(keySlot));
    prog.set(prog.slot(value) + 16, prog.slot(data));
    const at = prog.new(ELEMENT_BYTES, element);
    prog.set(at + 16, prog.slot(list));
    prog.set(at + 32, prog.slot(value));
    prog.pop(2);
    const e = { at, key, bytes: size } as Element;
    link(e, root);
    elements.set(key, e);
    byKey.set({ at: prog.slot(keySlot), text: key }, at);
    for (bytes += size; bytes > MAX_BYTES;) {
      const oldest = root.previous;
      unlink(oldest);
      prog.set(oldest.at, 0);
      prog.set(oldest.at + 8, 0);
      byKey.delete(oldest.key);
      elements.delete(oldest.key);
      bytes -= oldest.bytes;
    }
  };

  for (let i = 0; i < n; i++) {
    const number = random.n(1 + random.n(60000));
    const key = `key-${String(number)}`;
    prog.work(SPRINTF_NS);
    if (number >= 256) prog.new(8); // the number, boxed for Sprintf
    const keySlot = prog.push(newString(prog, key.length));
    const found = elements.get(key);
    if (found === undefined || byKey.get(key) === 0) {
      let size = 16 + random.n(200);
      if (random.n(20) === 0) size = 1024 + random.n(8192);
      put(key, keySlot, size);
    } else {
      unlink(found);
      link(found, root);
    }
    prog.pop(1);
  }
}
