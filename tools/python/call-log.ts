// Calls to the object and memory allocators as the format of object scripts writes them.

import type { AllocObserver } from '../../runtime/index.ts';

/** Writes down allocator calls as the format has them. */
export class CallLog implements AllocObserver {
  private readonly sizes = new Map<number, number>();
  private calls: string[] = [];

  allocated(p: number, bytes: number): void {
    this.sizes.set(p, bytes);
    this.calls.push(`+${bytes}`);
  }
  freed(p: number): void {
    this.calls.push(`-${this.sizes.get(p) ?? 0}`);
    this.sizes.delete(p);
  }
  reallocated(from: number, to: number, bytes: number): void {
    this.calls.push(`${this.sizes.get(from) ?? 0}>${bytes}`);
    this.sizes.delete(from);
    this.sizes.set(to, bytes);
  }

  /** The calls since the last time, equal ones in a row counted. */
  take(): string[] {
    const folded: string[] = [];
    for (let i = 0; i < this.calls.length;) {
      let n = 1;
      while (this.calls[i + n] === this.calls[i]) n++;
      folded.push(n === 1 ? (this.calls[i] ?? '') : `${this.calls[i] ?? ''}x${n}`);
      i += n;
    }
    this.calls = [];
    return folded;
  }
}
