// The program's classes: type objects, how their instances are laid out, the names they share.
//
// A class is named by its type object's address, which is an instance's ob_type. The classes asked
// for last are remembered by that address.
// Source: CPython 3.11 Objects/typeobject.c type_new(). Not modelled: inheritance, metaclasses, the
// dict and the methods of the class itself.

import type { DictKeys } from './dict-keys.ts';
import { KIND_INSTANCE } from './kinds.ts';
import type { ObjectCore } from './object.ts';

export interface ClassOptions {
  readonly name: string;
  /** Names of __slots__; null for a class whose instances have a dict. */
  readonly slots: readonly string[] | null;
  readonly weakref: boolean;
  /** __del__, called with the instance. */
  readonly finalizer: ((self: number) => void) | null;
}

export interface PyClass extends ClassOptions {
  /** Address of its type object. */
  readonly type: number;
  readonly slotNames: ReadonlyMap<string, number>;
  readonly basicBytes: number;
  readonly presize: number;
  /** Where the list of weak references is, from the object; 0 for none. */
  readonly weaklist: number;
  /** The shared table of names; 0 with slots. */
  keys: number;
}

const TYPE_OBJECT_BYTES = 1064;
const CACHE_MASK = 63;

export class Classes {
  private readonly core: ObjectCore;
  private readonly keys: DictKeys;
  private readonly classes = new Map<number, PyClass>();
  private readonly knownType = new Float64Array(CACHE_MASK + 1);
  private readonly known: PyClass[] = [];

  constructor(core: ObjectCore, keys: DictKeys) {
    this.core = core;
    this.keys = keys;
  }

  /** Makes a class: a type object, and the table of names that its instances share. */
  makeClass(options: ClassOptions): PyClass {
    const { core } = this;
    const head = core.profile.gcHeadBytes;
    const type = core.malloc(head + TYPE_OBJECT_BYTES) + head;
    core.mem.zero(type - head, head + TYPE_OBJECT_BYTES);
    core.initType(type, KIND_INSTANCE);
    const cls: PyClass = {
      ...options,
      type,
      slotNames: new Map((options.slots ?? []).map((name, i) => [name, 16 + 8 * i])),
      ...this.layout(options),
      keys: options.slots === null ? this.keys.makeShared() : 0,
    };
    this.classes.set(type, cls);
    return cls;
  }

  private layout(o: ClassOptions): Pick<PyClass, 'basicBytes' | 'presize' | 'weaklist'> {
    const { gcHeadBytes, instanceLayout } = this.core.profile;
    const isManaged = instanceLayout === 'dict-or-values' || instanceLayout === 'inline';
    const head = gcHeadBytes;
    if (o.slots !== null) {
      const basicBytes = 16 + 8 * o.slots.length;
      if (!o.weakref) return { basicBytes, presize: head, weaklist: 0 };
      if (isManaged) return { basicBytes, presize: head + 16, weaklist: -32 };
      return { basicBytes: basicBytes + 8, presize: head, weaklist: basicBytes };
    }
    if (instanceLayout === 'dict') return { basicBytes: 32, presize: head, weaklist: 24 };
    if (instanceLayout === 'values') return { basicBytes: 24, presize: head + 16, weaklist: 16 };
    return { basicBytes: 16, presize: head + 16, weaklist: -32 };
  }

  /** The class of an instance. */
  classOf(op: number): PyClass {
    const type = this.core.typeOf(op);
    const k = (type >>> 4) & CACHE_MASK;
    if (this.knownType[k] === type) return this.known[k];
    const cls = this.classes.get(type);
    if (cls === undefined) throw new RangeError('classOf: an instance of a class of ours');
    this.knownType[k] = type;
    this.known[k] = cls;
    return cls;
  }

  /** Name of the class whose type object is there; undefined where there is none. */
  named(type: number): string | undefined {
    return this.classes.get(type)?.name;
  }

  /** Calls visit for each name that the shared tables of the classes hold. */
  forEachName(visit: (name: number) => void): void {
    const { keys } = this;
    for (const cls of this.classes.values()) {
      if (cls.keys === 0) continue;
      for (let i = keys.nentries(cls.keys) - 1; i >= 0; i--) visit(keys.key(cls.keys, i));
    }
  }
}
