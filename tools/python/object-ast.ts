// Statements of object scripts as data: what the parser makes and the runner takes.

import type { StrKind } from '../../runtime/index.ts';

/** A name `x`, one of a family `x@17`, or a range of a family `x@0..9`. */
export interface Name {
  readonly is: 'name';
  readonly text: string;
  readonly base: string;
  readonly indices: Int32Array | null;
  readonly isRange: boolean;
  readonly line: number;
  readonly column: number;
}

export type Operand =
  | Name
  | { readonly is: 'none' }
  | { readonly is: 'int'; readonly value: number }
  | { readonly is: 'string'; readonly text: string };

/** An element of a display: an operand, or all of a range at once. */
export type Element = Operand | { readonly is: 'star'; readonly name: Name };

export interface InstanceOptions {
  readonly class: string;
  readonly slots: number | null;
  readonly weakref: boolean;
  readonly finalizer: boolean;
  readonly resurrect: string | null;
}

export type Expression =
  | { readonly is: 'list' | 'tuple'; readonly length: number | null; readonly items: Element[] }
  | { readonly is: 'dict' | 'set' }
  | { readonly is: 'int'; readonly literal: string }
  | { readonly is: 'float'; readonly value: number }
  | { readonly is: 'str'; readonly length: number; readonly kind: StrKind }
  | { readonly is: 'bytes'; readonly length: number }
  | { readonly is: 'instance'; readonly options: InstanceOptions }
  | { readonly is: 'ref'; readonly of: Operand; readonly callback: boolean }
  | { readonly is: 'alias'; readonly of: Operand }
  | { readonly is: 'getitem'; readonly of: Name; readonly key: Operand }
  | { readonly is: 'getattr'; readonly of: Name; readonly attribute: string }
  | { readonly is: 'pop' | 'deref'; readonly of: Name };

export type Action =
  | { readonly is: 'bind'; readonly to: Name; readonly value: Expression }
  | {
      readonly is: 'append' | 'extend' | 'add' | 'discard';
      readonly of: Name;
      readonly value: Operand;
    }
  | { readonly is: 'insert'; readonly of: Name; readonly at: number; readonly value: Operand }
  | { readonly is: 'pop' | 'clear' | 'del'; readonly of: Name }
  | { readonly is: 'setitem'; readonly of: Name; readonly key: Operand; readonly value: Operand }
  | {
      readonly is: 'setattr';
      readonly of: Name;
      readonly attribute: string;
      readonly value: Operand;
    }
  | { readonly is: 'delitem'; readonly of: Name; readonly key: Operand }
  | { readonly is: 'delattr'; readonly of: Name; readonly attribute: string }
  | { readonly is: 'collect'; readonly generation: number }
  | { readonly is: 'gc.disable' | 'gc.enable' | 'gc.freeze' | 'stats' }
  | { readonly is: 'gc.set_threshold'; readonly values: readonly number[] }
  | { readonly is: 'grow'; readonly of: Name; readonly value: Operand; readonly times: number }
  | {
      readonly is: 'fill';
      readonly of: Name;
      readonly prefix: string | null;
      readonly first: number;
      readonly last: number;
      readonly value: Operand | null;
    }
  | {
      readonly is: 'drain';
      readonly of: Name;
      /** Times to pop; null to delete keys. */
      readonly times: number | null;
      readonly prefix: string | null;
      readonly first: number;
      readonly last: number;
    }
  | { readonly is: Observation; readonly of: Name }
  | { readonly is: 'is'; readonly of: Name; readonly other: Operand };

export type Observation = 'refcount' | 'sizeof' | 'len' | 'tracked' | 'generation' | 'alive';

export interface Statement {
  readonly line: number;
  readonly action: Action;
  /** The first name; null if there is none. */
  readonly name: Name | null;
  /** How often it runs; `isRange` says whether as a range. */
  readonly times: number;
  readonly isRange: boolean;
}
