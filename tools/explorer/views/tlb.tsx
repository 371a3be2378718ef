// What the CPUs' TLBs hold, and how often they answered.

import type { VNode } from 'preact';
import type { CpuView, TlbArrayView } from '../../inspect/tlb.ts';
import { count, hex, percent } from '../format.ts';
import { select } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';

export function TlbView(): VNode {
  const cpus = useSnapshot('tlb', []);
  const direct = cpus?.[0]?.arrays[0]?.ways === 1;
  return (
    <div class="view">
      <ViewHead title="TLB" term="tlb">
        {direct && 'direct-mapped by page number; hits are not counted in this form, misses are'}
      </ViewHead>
      <Key
        items={[
          ['#4668e8', 'readable'],
          ['#e0a000', 'writable and dirty'],
          ['--never', 'empty'],
        ]}
      />
      {cpus?.map((cpu) => (
        <Cpu key={cpu.id} cpu={cpu} />
      ))}
    </div>
  );
}

function Cpu(props: { cpu: CpuView }): VNode {
  const { cpu } = props;
  const c = cpu.counters;
  const hits = c.l1Hits + c.l2Hits;
  const rows: readonly (readonly [string, string])[] = [
    ['misses', count(c.misses)],
    ['hits', hits === 0 ? 'not counted' : `${count(hits)}, ${percent(hits, hits + c.misses)}`],
    ['walked again for rights', count(c.rewalks)],
    ['PDE cache hits', count(c.pdeHits)],
    ['page faults', count(c.pageFaults)],
    ['flushes', `${count(c.pageFlushes)} of a page, ${count(c.flushes)} larger`],
  ];
  return (
    <section>
      <h3>
        CPU {cpu.id}
        {cpu.pid > 0 ? `, in the space of process ${cpu.pid}` : ', idle'}
      </h3>
      <dl class="figures">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono">{value}</dd>
          </div>
        ))}
      </dl>
      {cpu.arrays.map((array) => (
        <Entries key={array.name} array={array} pid={cpu.pid} />
      ))}
    </section>
  );
}

function Entries(props: { array: TlbArrayView; pid: number }): VNode {
  const { array, pid } = props;
  const { slots } = array;
  const used = slots.filter((s) => s !== undefined).length;
  const colour = (i: number): string => {
    const s = slots[i];
    return s === undefined ? '--never' : s.writable ? '#e0a000' : '#4668e8';
  };
  return (
    <div class="tlb-array">
      <h3>
        {array.name}: {used} of {array.entries} entries
        {array.ways > 1 ? `, ${array.ways} ways` : ''}
      </h3>
      <Cells
        label={`Entries, ${array.name}`}
        count={slots.length}
        columns={array.ways > 1 ? Math.ceil(64 / array.ways) * array.ways : 64}
        size={10}
        colour={colour}
        tell={(i) => {
          const s = slots[i];
          return s === undefined ? `slot ${i}: empty` : `slot ${i}: ${hex(s.va)}`;
        }}
        pick={(i) => {
          const s = slots[i];
          if (s !== undefined && pid > 0) select({ kind: 'address', pid, va: s.va });
        }}
      />
    </div>
  );
}
