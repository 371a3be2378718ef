// CPython's heap: arenas pool by pool, the selected pool's blocks, the object and its references.

import type { VNode } from 'preact';
import type { PythonArena, PythonBlocks } from '../../inspect/python-arenas.ts';
import type { PythonObject, PythonView } from '../../inspect/python.ts';
import { bytes, count, hex, percent } from '../format.ts';
import { select, selectedAddress } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { Graph } from '../parts/graph.tsx';
import { Term } from '../parts/term.tsx';
import { useSnapshot } from '../snapshot.ts';

const USED = '#c93f8d';

export function PythonHeap(props: { pid: number }): VNode {
  const { pid } = props;
  const heap = useSnapshot('python', [pid]);
  const at = selectedAddress.value;
  const found = useSnapshot('pythonObject', [pid, at], Number.isFinite(at));
  if (heap === undefined) return <p class="soft">Looking…</p>;
  return (
    <>
      <Generations heap={heap} />
      <div class="columns">
        {found?.place !== undefined && <PoolBlocks pid={pid} place={found.place} at={at} />}
        {found?.object !== undefined && <ObjectGraph pid={pid} object={found.object} />}
      </div>
      <section>
        <h3>
          Arenas, by pool <Term id="py-pool" />
        </h3>
        <Key
          items={[
            [USED, 'pool in use (the paler, the emptier)'],
            ['#e79cc6', 'empty pool'],
            ['--never', 'never carved'],
          ]}
        />
        {heap.arenas.map((arena) => (
          <Arena key={arena.address} pid={pid} arena={arena} at={at} />
        ))}
      </section>
      <Classes heap={heap} />
    </>
  );
}

function Generations(props: { heap: PythonView }): VNode {
  const { heap } = props;
  return (
    <section>
      <h3>
        CPython {heap.version}: generations{heap.collecting ? ', a collection is running' : ''}{' '}
        <Term id="py-gc" />
      </h3>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Generations">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">generation</th>
              <th scope="col" class="num">
                objects
              </th>
              <th scope="col" class="num">
                count
              </th>
              <th scope="col" class="num">
                threshold
              </th>
              <th scope="col">how far</th>
              <th scope="col" class="num">
                collections
              </th>
              <th scope="col" class="num">
                collected
              </th>
            </tr>
          </thead>
          <tbody>
            {heap.generations.map((g) => (
              <tr key={g.generation}>
                <th scope="row">{g.generation}</th>
                <td class="num">{count(g.objects)}</td>
                <td class="num">{count(g.count)}</td>
                <td class="num">{count(g.threshold)}</td>
                <td>
                  <span class="bar bar-small">
                    <span
                      class="bar-fill py"
                      style={{
                        width: `${Math.min(100, (100 * g.count) / Math.max(1, g.threshold))}%`,
                      }}
                    />
                  </span>
                </td>
                <td class="num">{count(g.collections)}</td>
                <td class="num">{count(g.collected)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function PoolBlocks(props: { pid: number; place: PythonBlocks; at: number }): VNode {
  const { pid, place, at } = props;
  const { pool, first, blocks } = place;
  const next = place.freeList[0];
  return (
    <section>
      <h3>
        Selected pool {place.poolIndex}: {pool.blocks} blocks of {pool.size} bytes{' '}
        <Term id="py-block" />
      </h3>
      <p class="soft">
        {pool.used} in use, {place.freeList.length} on the free list
        {next !== undefined && (
          <>
            , next{' '}
            <button
              type="button"
              class="goto mono"
              onClick={() => select({ kind: 'address', pid, va: next })}
            >
              {hex(next)}
            </button>
          </>
        )}
      </p>
      <Key
        items={[
          [USED, 'in use'],
          ['#e79cc6', 'free'],
          ['--never', 'never carved'],
        ]}
      />
      <Cells
        label={`Blocks of pool ${place.poolIndex}`}
        count={blocks.length}
        size={blocks.length > 500 ? 8 : 12}
        colour={(i) => ['--never', '#e79cc6', USED][blocks[i] ?? 0] ?? '--never'}
        tell={(i) => `block ${i} at ${hex(first + i * pool.size)}`}
        pick={(i) => select({ kind: 'address', pid, va: first + i * pool.size })}
        selected={pool.size === 0 ? -1 : Math.floor((at - first) / pool.size)}
      />
    </section>
  );
}

function ObjectGraph(props: { pid: number; object: PythonObject }): VNode {
  const { pid, object } = props;
  const { gcRefs, generation, references } = object;
  const state = [
    object.refcount < 0 ? 'immortal' : referencesTo(object.refcount),
    object.tracked ? (generation < 0 ? 'tracked' : `generation ${generation}`) : 'not tracked',
    ...(gcRefs >= 0 ? [`gc_refs ${gcRefs}`] : []),
  ];
  return (
    <section>
      <h3>
        Selected {object.type}
        {object.text === '' ? '' : `, ${object.text}`} <Term id="py-object" />
      </h3>
      <p class="soft">
        {state.join('; ')}; refers to {count(object.nrReferences)}
      </p>
      <Graph
        root={{ label: object.type, detail: object.text }}
        nodes={references.slice(0, 24).map((r) => ({
          label: r.type,
          detail: r.text,
          key: r.address,
          pick: () => select({ kind: 'address', pid, va: r.address }),
        }))}
        more={object.nrReferences - Math.min(24, references.length)}
      />
    </section>
  );
}

function Arena(props: { pid: number; arena: PythonArena; at: number }): VNode {
  const { pid, arena, at } = props;
  const { pools, freePools, totalPools } = arena;
  const size = `${bytes(arena.bytes)}, ${freePools} of ${totalPools} pools free`;
  return (
    <div class="arena">
      <p class="soft">
        arena {arena.index} at <span class="mono">{hex(arena.address)}</span>, {size}
      </p>
      <Cells
        label={`Pools of arena ${arena.index}`}
        count={Math.max(arena.totalPools, pools.length)}
        size={13}
        colour={(i) => {
          const pool = pools[i];
          if (pool === undefined) return '--never';
          if (pool.used === 0) return '#e79cc6';
          const alpha = Math.round(80 + (175 * pool.used) / Math.max(1, pool.blocks));
          return `${USED}${alpha.toString(16).padStart(2, '0')}`;
        }}
        tell={(i) => {
          const pool = pools[i];
          if (pool === undefined) return `pool ${i}: never carved`;
          return `pool ${i}: blocks of ${pool.size}, ${pool.used} of ${pool.blocks} in use`;
        }}
        pick={(i) => {
          const pool = pools[i];
          if (pool !== undefined) select({ kind: 'address', pid, va: pool.address + 48 });
        }}
        selected={pools.findIndex((q) => at >= q.address && at < q.address + arena.poolBytes)}
      />
    </div>
  );
}

function Classes(props: { heap: PythonView }): VNode {
  return (
    <section>
      <h3>Pools by size of block</h3>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Pools by size">
        <table class="table">
          <thead>
            <tr>
              <th scope="col" class="num">
                block
              </th>
              <th scope="col" class="num">
                pools
              </th>
              <th scope="col" class="num">
                blocks in use
              </th>
              <th scope="col" class="num">
                used
              </th>
            </tr>
          </thead>
          <tbody>
            {props.heap.classes.map((c) => (
              <tr key={c.size}>
                <td class="num">{c.size} B</td>
                <td class="num">{count(c.pools)}</td>
                <td class="num">
                  {count(c.used)} / {count(c.blocks)}
                </td>
                <td class="num">{percent(c.used, c.blocks)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function referencesTo(n: number): string {
  return n === 1 ? '1 reference to it' : `${count(n)} references to it`;
}
