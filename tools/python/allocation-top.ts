// Who holds the memory: living blocks by the line that allocated them and by the type of the object
// in them, largest first, as tracemalloc's snapshot.statistics() has them.
//
// Every allocator call of the script is followed; what was there before it is not. A block that
// holds no object (the items of a list, the keys of a dict) has its own row.

import type { AllocObserver, PythonRuntime } from '../../runtime/index.ts';
import { NR_KINDS } from '../../runtime/python/kinds.ts';

interface Block {
  readonly bytes: number;
  readonly line: number;
}
export interface TopRow {
  readonly name: string;
  readonly size: number;
  readonly count: number;
}
export interface Top {
  readonly lines: TopRow[];
  readonly types: TopRow[];
  /** tracemalloc.get_traced_memory(). */
  readonly current: number;
  readonly peak: number;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
/** What may lie before an object in its block: the collector's head, and pointers of instances. */
const PRESIZES = [0, 16, 32, 24, 48];

export class AllocationTop implements AllocObserver {
  /** The line that runs. */
  line = 0;
  private current = 0;
  private peak = 0;
  private readonly blocks = new Map<number, Block>();
  private readonly next: AllocObserver | null;

  /** @param next is told as well. */
  constructor(next: AllocObserver | null) {
    this.next = next;
  }

  allocated(p: number, bytes: number): void {
    this.next?.allocated(p, bytes);
    this.blocks.set(p, { bytes, line: this.line });
    this.current += bytes;
    this.peak = Math.max(this.peak, this.current);
  }
  freed(p: number): void {
    this.next?.freed(p);
    this.current -= this.blocks.get(p)?.bytes ?? 0;
    this.blocks.delete(p);
  }
  reallocated(from: number, to: number, bytes: number): void {
    this.next?.reallocated(from, to, bytes);
    this.current -= this.blocks.get(from)?.bytes ?? 0;
    this.blocks.delete(from);
    this.blocks.set(to, { bytes, line: this.line });
    this.current += bytes;
    this.peak = Math.max(this.peak, this.current);
  }

  /** The largest rows. @param file names the lines. */
  top(py: PythonRuntime, file: string, most: number): Top {
    const types = new Map<number, string>();
    for (let kind = 0; kind < NR_KINDS; kind++) {
      const type = py.core.typeOfKind(kind);
      if (type !== 0) types.set(type, py.core.ops[kind]?.name ?? '');
    }
    const byLine = new Map<string, [number, number]>();
    const byType = new Map<string, [number, number]>();
    const add = (to: typeof byLine, name: string, bytes: number): void => {
      const row = to.get(name) ?? [0, 0];
      to.set(name, [row[0] + bytes, row[1] + 1]);
    };
    for (const [p, { bytes, line }] of this.blocks) {
      add(byLine, `${file}:${String(line)}`, bytes);
      add(byType, this.typeAt(py, p, bytes, types), bytes);
    }
    const { current, peak } = this;
    return { lines: sorted(byLine, most), types: sorted(byType, most), current, peak };
  }

  private typeAt(
    py: PythonRuntime,
    p: number,
    bytes: number,
    types: ReadonlyMap<number, string>,
  ): string {
    for (const presize of PRESIZES) {
      if (presize + 16 > bytes) continue;
      const type = py.mem.load64(p + presize + 8);
      const name = types.get(type) ?? py.instances.classes.named(type);
      if (name !== undefined) return name;
    }
    return 'items, keys and values';
  }
}

function sorted(rows: ReadonlyMap<string, readonly [number, number]>, most: number): TopRow[] {
  const all = Array.from(rows, ([name, [size, count]]) => ({ name, size, count }));
  return all.sort((a, b) => b.size - a.size || b.count - a.count).slice(0, most);
}

/** A size as tracemalloc prints it: three to five digits and a unit. */
export function formatSize(bytes: number): string {
  let size = bytes;
  for (const unit of UNITS) {
    if (Math.abs(size) < 100 && unit !== 'B') return `${size.toFixed(1)} ${unit}`;
    if (Math.abs(size) < 10 * 1024 || unit === 'TiB') return `${size.toFixed(0)} ${unit}`;
    size /= 1024;
  }
  return '';
}

/** The lists as text, each row as str() of tracemalloc's Statistic. */
export function topText({ lines, types, current, peak }: Top): string[] {
  const row = ({ name, size, count }: TopRow): string =>
    `${name}: size=${formatSize(size)}, count=${String(count)}, average=${formatSize(size / count)}`;
  return [
    `traced memory: ${formatSize(current)} now, ${formatSize(peak)} at the most`,
    'by line',
    ...lines.map((r) => `  ${row(r)}`),
    'by type',
    ...types.map((r) => `  ${row(r)}`),
  ];
}
