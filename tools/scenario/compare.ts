// Two runs of one scenario, statement by statement: what differs.
//
// Both sides have the same address-space layout, so addresses must be equal. Frame labels are
// compared up to renaming: a label of one side must always stand for the same label of the other.
// Keys that begin with `_` are notes and are not compared.

import type { Observation } from './observe.ts';

export interface Difference {
  readonly line: number;
  /** Where in the observation: `usage.vm_rss`, `pages 0x7ffff7ff0000 mapcount`. */
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

type Value = unknown;

/** All differences between what was expected and what was got, in the order of the statements. */
export function compareRuns(
  expected: readonly Observation[],
  got: readonly Observation[],
): Difference[] {
  return new Comparison().run(expected, got);
}

class Comparison {
  private readonly toGot = new Map<string, string>();
  private readonly toExpected = new Map<string, string>();
  private readonly out: Difference[] = [];
  private line = 0;

  run(expected: readonly Observation[], got: readonly Observation[]): Difference[] {
    const byLine = new Map(got.map((o) => [o.line, o]));
    for (const e of expected) {
      this.line = e.line;
      const g = byLine.get(e.line);
      byLine.delete(e.line);
      if (g === undefined) this.differ(e.call, 'an observation', 'none');
      else this.compare('', e, g);
    }
    for (const [line, g] of byLine) {
      this.line = line;
      this.differ(g.call, 'none', 'an observation');
    }
    return this.out;
  }

  private differ(what: string, expected: Value, got: Value): void {
    const text = (v: Value): string =>
      typeof v === 'string' ? v : v === undefined ? 'none' : JSON.stringify(v);
    this.out.push({ line: this.line, what, expected: text(expected), got: text(got) });
  }

  private compare(path: string, e: Value, g: Value): void {
    if (Array.isArray(e) && Array.isArray(g)) this.lists(path, e as Value[], g as Value[]);
    else if (isRecord(e) && isRecord(g)) {
      for (const key of new Set([...Object.keys(e), ...Object.keys(g)])) {
        if (key.startsWith('_')) continue;
        const where = path === '' ? key : `${path} ${key}`;
        if (key === 'frame') this.frame(where, e[key], g[key]);
        else this.compare(where, e[key], g[key]);
      }
    } else if (e !== g) this.differ(path, e, g);
  }

  private frame(where: string, e: Value, g: Value): void {
    if (typeof e !== 'string' || typeof g !== 'string') {
      if (e !== g) this.differ(where, e, g);
      return;
    }
    const known = this.toGot.get(e) ?? g;
    if (known !== g || (this.toExpected.get(g) ?? e) !== e) {
      const other = this.toExpected.get(g) ?? 'new';
      this.differ(where, `${e} (${this.toGot.get(e) ?? 'new'})`, `${g} (${other})`);
    }
    this.toGot.set(e, g);
    this.toExpected.set(g, e);
  }

  /** Mappings and pages are matched by address, flags as they stand. */
  private lists(path: string, e: readonly Value[], g: readonly Value[]): void {
    const key = (v: Value): string =>
      isRecord(v) ? String(v['addr'] ?? v['start']) : JSON.stringify(v);
    if (e.every((v) => typeof v === 'string') && g.every((v) => typeof v === 'string')) {
      if (e.join(' ') !== g.join(' ')) this.differ(path, e.join(' '), g.join(' '));
      return;
    }
    const rest = new Map(g.map((v) => [key(v), v]));
    for (const v of e) {
      const k = key(v);
      if (rest.has(k)) this.compare(`${path} ${k}`, v, rest.get(k));
      else this.differ(`${path} ${k}`, summary(v), 'none');
      rest.delete(k);
    }
    for (const [k, v] of rest) this.differ(`${path} ${k}`, 'none', summary(v));
  }
}

function isRecord(v: Value): v is Record<string, Value> {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}

/** A mapping or page in short. */
function summary(v: Value): string {
  if (!isRecord(v)) return JSON.stringify(v);
  if ('start' in v) return [v['start'], v['end'], v['perms'], v['path']].map(String).join(' ');
  return JSON.stringify(v);
}
