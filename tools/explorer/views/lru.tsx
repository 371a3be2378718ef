// What reclaim works on: the lists of pages by age, and the swap device.

import type { VNode } from 'preact';
import type { LruList, LruPool } from '../../inspect/lru.ts';
import { count, hex, pages } from '../format.ts';
import { chain, select, selectedFrame } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { Term } from '../parts/term.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';

const MOST_SLOTS = 4096;

export function LruView(): VNode {
  const pools = useSnapshot('lru', []);
  const swap = useSnapshot('swap', []);
  return (
    <div class="view">
      <ViewHead title="LRU lists and swap" term="lru">
        {pools !== undefined &&
          `${count(pools.reduce((a, p) => a + p.size, 0))} reclaimable folios`}
      </ViewHead>
      <Key
        items={[
          ['#2b8be0', 'not used since it was looked at'],
          ['#e0a000', 'referenced'],
          ['#c93f8d', 'dirty'],
        ]}
      />
      {pools?.map((pool) => (
        <Pool key={`${pool.node}/${pool.group}`} pool={pool} />
      ))}
      <section>
        <h3>
          Swap <Term id="swap" />
        </h3>
        {swap === undefined ? (
          <p class="soft">This machine has no swap device: anonymous pages stay in memory.</p>
        ) : (
          <>
            <p class="soft">
              {count(swap.used)} of {count(swap.slots - 1)} slots in use, {pages(swap.used)}
              {swap.slots > MOST_SLOTS ? `; the first ${count(MOST_SLOTS)} are shown` : ''}
            </p>
            <Key
              items={[
                ['#d97706', 'in use'],
                ['#7d4fd6', 'in use, and its page in the swap cache'],
                ['#9a8fb0', 'only in the swap cache'],
                ['--never', 'free'],
              ]}
            />
            <Cells
              label="Slots of swap"
              count={Math.min(MOST_SLOTS, swap.slots)}
              size={9}
              colour={(i) =>
                ['--never', '#d97706', '#7d4fd6', '#9a8fb0'][swap.states[i] ?? 0] ?? '--never'
              }
              tell={(i) => `slot ${i}`}
              pick={(slot) => select({ kind: 'slot', slot })}
              selected={chain.value?.slot ?? -1}
            />
          </>
        )}
      </section>
    </div>
  );
}

function Pool(props: { pool: LruPool }): VNode {
  const { pool } = props;
  return (
    <section>
      <h3>
        Policy {pool.policy}, node {pool.node}
        {pool.group > 0 ? `, memory group ${pool.group}` : ''}
      </h3>
      <dl class="figures">
        {pool.figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono">{count(value)}</dd>
          </div>
        ))}
      </dl>
      {pool.lists.length === 0 && (
        <p class="soft">
          This policy keeps no active and inactive lists: {count(pool.size)} folios are its.
        </p>
      )}
      {pool.lists.map((list) => (
        <List key={list.name} list={list} />
      ))}
    </section>
  );
}

function List(props: { list: LruList }): VNode {
  const { list } = props;
  const { frames, marks } = list;
  const cut = list.length > frames.length ? `, the first ${frames.length} shown` : '';
  return (
    <div class="lru-list">
      <h3>
        {list.name}: {count(list.length)}
        {cut} {list.length > 0 && <span class="faint">newest first</span>}
      </h3>
      {frames.length > 0 && (
        <Cells
          label={list.name}
          count={frames.length}
          size={10}
          colour={(i) => {
            const mark = marks[i] ?? 0;
            return (mark & 1) !== 0 ? '#e0a000' : (mark & 2) !== 0 ? '#c93f8d' : '#2b8be0';
          }}
          tell={(i) => `frame ${hex(frames[i] ?? 0)}`}
          pick={(i) => select({ kind: 'frame', pfn: frames[i] ?? 0, offset: 0 })}
          selected={frames.indexOf(selectedFrame.value)}
        />
      )}
    </div>
  );
}
