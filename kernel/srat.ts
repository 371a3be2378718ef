// Which memory and which CPUs belong to which node: the firmware's affinity table (SRAT), as a boot
// log tells it.
//
//     ACPI: SRAT: Node 1 PXM 1 [mem 0x40000000-0x7fffffff]
//     SRAT: PXM 1 -> APIC 0x02 -> Node 1
//
// RAM that no row names belongs to node 0. CPUs are numbered in the order of their lines.
// Source: Linux 6.1 drivers/acpi/numa/srat.c, arch/x86/mm/srat.c, arch/x86/mm/numa.c.

import { InputError } from './errors.ts';
import type { PfnRange } from './memory_map.ts';
import { PAGE_SIZE } from './types.ts';

/** Bytes start..end-1 belong to a node. */
export interface NodeMemory {
  readonly start: number;
  readonly end: number;
  readonly node: number;
}

/** What a boot log says of nodes. */
export interface NodeMap {
  /** By address, none overlapping. */
  readonly memory: readonly NodeMemory[];
  /** The node of each CPU. */
  readonly cpus: readonly number[];
  readonly nrNodes: number;
}

const MEMORY =
  /SRAT: Node (\d+) PXM \d+ \[mem 0x([0-9a-fA-F]+)-0x([0-9a-fA-F]+)\](?! (?:hotplug|non-volatile))/;
const CPU = /SRAT: PXM \d+ -> APIC 0x[0-9a-fA-F]+ -> Node (\d+)/;

/**
 * Nodes of a boot log; undefined where it names none, as on a machine of one node.
 * @param name for messages: the file the text came from.
 * @throws InputError where a range is empty, or two overlap.
 */
export function parseSrat(text: string, name = 'srat'): NodeMap | undefined {
  const memory: NodeMemory[] = [];
  const cpus: number[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const cpu = CPU.exec(line);
    if (cpu !== null) cpus.push(Number(cpu[1]));
    const match = MEMORY.exec(line);
    if (match === null) continue;
    const row = {
      node: Number(match[1]),
      start: parseInt(match[2], 16),
      end: parseInt(match[3], 16) + 1,
    };
    const clash = memory.find((other) => other.start < row.end && row.start < other.end);
    if (row.end <= row.start || clash !== undefined) {
      const what = clash === undefined ? 'is empty' : 'belongs to another node as well';
      throw new InputError(`${name}:${i + 1}`, `the range ${match[2]}-${match[3]} ${what}`);
    }
    memory.push(row);
  }
  if (memory.length === 0) return undefined;
  memory.sort((a, b) => a.start - b.start);
  return { memory, cpus, nrNodes: 1 + Math.max(...memory.map((r) => r.node), ...cpus) };
}

/** Cuts RAM where nodes meet. */
export function assignNodes(ram: readonly PfnRange[], map: NodeMap): PfnRange[] {
  const out: PfnRange[] = [];
  for (const { startPfn, endPfn } of ram) {
    let at = startPfn;
    while (at < endPfn) {
      const byte = at * PAGE_SIZE;
      const row = map.memory.find((r) => r.end > byte);
      const inside = row !== undefined && row.start <= byte;
      const limit = row === undefined ? Infinity : inside ? row.end : row.start;
      const end = Math.min(endPfn, Math.floor(limit / PAGE_SIZE));
      out.push({ startPfn: at, endPfn: end, node: inside ? row.node : 0 });
      at = end;
    }
  }
  return out;
}
