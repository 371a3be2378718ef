// JSON: a document of nested records is built, written, read back and changed, several times over.
//
// Objects are maps of anything, arrays lists; what a field holds is known by its name. With an
// indent Python's encoder is a generator whose pieces wait in a list until they are joined; without
// one it is C code that writes into one string. Each object's items are tuples in a list, to be
// sorted. The decoder makes each string anew, but the names of fields once for each document.

import {
  type Heap,
  type Kind,
  type ListType,
  type MapType,
  newRandom31,
  type Ref,
} from '../heap.ts';

const RECORDS = 1200;
const TURNS = 6;
const CHANGED = 300;
const STEP = 37;

const NAMES = [
  ...['version', 'records', 'id', 'name', 'price', 'tags', 'active', 'owner', 'history'],
  ...['first', 'last', 'age', 'at', 'change'],
];

/** The string for the name of a field. */
type NameOf = (name: string) => Ref;
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export function jsonRoundTrip(h: Heap, scale: number): undefined {
  h.imports('json');
  const forms = new Forms(h);
  const random = newRandom31(42);
  const records = forms.refs;
  const literal: NameOf = (name) => h.string(name);
  const document = h.local('ref');
  const text = h.local('string', h.string(''));
  h.scope(() => {
    const list = records.make();
    h.loop(Math.ceil(RECORDS * scale), (i) => {
      records.push(list, forms.build(newRecord(random, i), '', literal));
    });
    const map = forms.object.make();
    forms.put(map, h.string('version'), 'version', 1);
    forms.object.set(map, h.string('records'), h.boxed(records, list));
    document.set(map);
  });
  h.loop(TURNS, (turn) => {
    const encoder = new Encoder(h, forms, turn % 2 === 0, turn % 3 === 0);
    text.set(encoder.encode(document.get()));
    const written = h.text(text.get());
    h.scope(() => {
      const names = new Map(NAMES.map((name) => [name, h.computed(name)]));
      const nameOf: NameOf = (name) => names.get(name) ?? literal(name);
      document.set(forms.build(JSON.parse(written) as Json, '', nameOf));
    });
    const map = document.get();
    const list = h.unboxed(records, forms.object.get(map, h.string('records')));
    h.loop(Math.ceil(CHANGED * scale), () => {
      const added = forms.build(newRecord(random, random(100000)), '', literal);
      records.set(list, random(records.length(list)), added);
    });
    const first = random(records.length(list));
    const last = Math.floor((records.length(list) - 1 - first) / STEP);
    for (let k = last; k >= 0; k--) records.remove(list, first + STEP * k);
    forms.put(map, h.string('version'), 'version', turn + 2);
    let tags = 0;
    records.each(list, (record) => {
      const ref = forms.object.get(record, h.string('tags'));
      tags += forms.texts.length(h.unboxed(forms.texts, ref));
    });
    h.print([turn, written.length, records.length(list), tags].join(' '));
  });
  return undefined;
}

function newRecord(random: (n: number) => number, id: number): Json {
  const some = (n: number, make: () => Json): Json[] => Array.from({ length: n }, make);
  const price = random(100000) / 100;
  const tags = some(random(6), () => `t${String(random(40))}`);
  const active = random(2) === 1;
  const isFree = random(4) === 0;
  const owner = isFree ? null : { first: 'Ada', last: `L${String(random(500))}`, age: random(90) };
  const history = some(random(4), () => ({ at: random(10 ** 9), change: random(2000) - 1000 }));
  return { id, name: `item-${String(id).padStart(5, '0')}`, price, tags, active, owner, history };
}

/** How JSON values lie in the heap. */
class Forms {
  readonly object: MapType;
  readonly refs: ListType;
  readonly texts: ListType;
  private readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
    this.object = heap.map('string', 'ref');
    this.refs = heap.list('ref');
    this.texts = heap.list('string');
  }

  /** What a field of this name holds; 'ref' for an object or null. */
  kindOf(name: string): Kind {
    if (name === 'price') return 'float';
    if (name === 'active') return 'bool';
    if (['name', 'first', 'last'].includes(name)) return 'string';
    if (name === 'tags') return this.texts;
    if (name === 'history' || name === 'records') return this.refs;
    return name === 'owner' ? 'ref' : 'int';
  }

  put(map: Ref, key: Ref, name: string, value: number): void {
    this.heap.scope(() => {
      this.object.set(map, key, this.heap.boxed(this.kindOf(name), value));
    });
  }

  /** A value in the heap. @param names makes or finds the names of fields. */
  build(value: Json, name: string, names: NameOf): number {
    const { heap } = this;
    if (typeof value === 'number') return value;
    if (typeof value === 'boolean') return Number(value);
    if (typeof value === 'string') return heap.computed(value);
    if (value === null) return 0;
    return heap.call(() =>
      Array.isArray(value) ? this.array(value, name, names) : this.map(value, names),
    );
  }

  private array(value: Json[], name: string, names: NameOf): Ref {
    const type = name === 'tags' ? this.texts : this.refs;
    const list = type.make();
    for (const item of value)
      this.heap.scope(() => {
        type.push(list, this.build(item, '', names));
      });
    return list;
  }

  private map(value: Record<string, Json>, names: NameOf): Ref {
    const { heap } = this;
    const map = this.object.make();
    for (const [name, item] of Object.entries(value)) {
      heap.scope(() => {
        const key = names(name);
        this.put(map, key, name, this.build(item, name, names));
      });
    }
    return map;
  }
}

/** json.dumps(document, sort_keys=…, indent=None or 1) */
class Encoder {
  private readonly heap: Heap;
  private readonly forms: Forms;
  private readonly sorts: boolean;
  private readonly indents: boolean;
  private readonly pieces: Ref;
  private text = '';

  constructor(heap: Heap, forms: Forms, sorts: boolean, indents: boolean) {
    this.heap = heap;
    this.forms = forms;
    this.sorts = sorts;
    this.indents = indents;
    this.pieces = forms.texts.make();
  }

  encode(document: Ref): Ref {
    this.object(document, 0);
    return this.indents
      ? this.heap.join(this.forms.texts, this.pieces, '')
      : this.heap.computed(this.text);
  }

  /** A piece that is a constant, or was made. */
  private constant(text: string): void {
    if (!this.indents) this.text += text;
    else
      this.heap.scope(() => {
        this.forms.texts.push(this.pieces, this.heap.string(text));
      });
  }
  private made(text: string): void {
    if (!this.indents) this.text += text;
    else
      this.heap.scope(() => {
        this.forms.texts.push(this.pieces, this.heap.computed(text));
      });
  }

  private line(level: number): string {
    return this.indents ? `\n${' '.repeat(level)}` : '';
  }
  private get separator(): string {
    return this.indents ? ',' : ', ';
  }

  private object(map: Ref, level: number): void {
    const { heap } = this;
    heap.scope(() => {
      const fields = this.fields(map);
      this.constant('{');
      if (this.indents) this.made(this.line(level + 1));
      const between = heap.computed(this.separator + this.line(level + 1));
      fields.forEach(([name, ref], i) => {
        if (i > 0) this.again(between);
        this.made(`"${name}"`);
        this.constant(': ');
        this.value(name, ref, level + 1);
      });
      if (this.indents) this.made(this.line(level));
      this.constant('}');
    });
  }

  /** A piece that was made before. */
  private again(piece: Ref): void {
    if (!this.indents) this.text += this.heap.text(piece);
    else this.forms.texts.push(this.pieces, piece);
  }

  /** The items of an object, as the encoder goes through them. */
  private fields(map: Ref): [string, Ref][] {
    const { heap, forms } = this;
    const item = heap.tuple('string', 'ref');
    const items = heap.list(item);
    const fields: [string, Ref][] = [];
    const list = items.make();
    forms.object.each(map, (key, value) => {
      fields.push([heap.text(key), value]);
      if (this.sorts || !this.indents) items.push(list, item.make(key, value));
    });
    if (this.sorts || heap.runtime === 'go') fields.sort(([a], [b]) => (a < b ? -1 : 1));
    return fields;
  }

  private value(name: string, ref: Ref, level: number): void {
    const { heap, forms } = this;
    const kind = forms.kindOf(name);
    heap.scope(() => {
      if (kind === 'ref') {
        if (ref === 0) this.constant('null');
        else this.object(ref, level);
        return;
      }
      const value = heap.unboxed(kind, ref);
      if (kind === 'bool') this.constant(value === 0 ? 'false' : 'true');
      else if (kind === 'string') this.made(`"${heap.text(value)}"`);
      else if (kind === 'int') this.made(String(value));
      else if (kind === 'float')
        this.made(`${String(value)}${Number.isInteger(value) ? '.0' : ''}`);
      else this.array(name, value, level);
    });
  }

  private array(name: string, list: Ref, level: number): void {
    const { heap, forms } = this;
    const type = name === 'tags' ? forms.texts : forms.refs;
    const n = type.length(list);
    if (n === 0) {
      this.constant('[]');
      return;
    }
    const between = heap.computed(this.separator + this.line(level + 1));
    type.each(list, (item, i) => {
      const before = i === 0 ? `[${this.line(level + 1)}` : heap.text(between);
      if (name === 'tags') {
        this.made(`${before}"${heap.text(item)}"`);
        return;
      }
      if (i === 0) this.made(before);
      else this.again(between);
      this.object(item, level + 1);
    });
    if (this.indents) this.made(this.line(level));
    this.constant(']');
  }
}
