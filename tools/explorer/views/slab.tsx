// Slab caches, and the slabs of one down to their objects.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { bytes, count, hex, percent } from '../format.ts';
import { select, selectedFrame, selection } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';

export function SlabView(): VNode {
  const caches = useSnapshot('slab', []);
  const chosen = useSignal('');
  const name = chosen.value === '' ? (caches?.[0]?.name ?? '') : chosen.value;
  const slabs = useSnapshot('slabs', [name], name !== '');
  const cache = caches?.find((c) => c.name === name);
  return (
    <div class="view view-split">
      <ViewHead title="Slab caches" term="slab">
        {caches !== undefined &&
          `${caches.length} caches hold ${bytes(caches.reduce((a, c) => a + c.bytes, 0))}`}
      </ViewHead>
      <div class="split">
        <div class="scroll" tabIndex={0} role="region" aria-label="Caches">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">cache</th>
                <th scope="col" class="num">
                  object
                </th>
                <th scope="col" class="num">
                  in use
                </th>
                <th scope="col" class="num">
                  of
                </th>
                <th scope="col" class="num">
                  memory
                </th>
              </tr>
            </thead>
            <tbody>
              {caches?.map((c) => (
                <tr key={c.name} aria-current={c.name === name ? 'true' : undefined}>
                  <td>
                    <button type="button" class="goto" onClick={() => (chosen.value = c.name)}>
                      {c.name}
                    </button>
                  </td>
                  <td class="num">{c.size}</td>
                  <td class="num">{count(c.used)}</td>
                  <td class="num">{count(c.objects)}</td>
                  <td class="num">{bytes(c.bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {cache !== undefined && slabs !== undefined && (
          <section class="slabs">
            <h3>
              {cache.name}: {slabs.length} slabs of {cache.perSlab} objects,{' '}
              {percent(cache.used, cache.objects)} in use
            </h3>
            <Key
              items={[
                ['#c2552d', 'object in use'],
                ['--never', 'free'],
              ]}
            />
            {slabs.map((slab) => (
              <div key={slab.pfn} class="slab-row">
                <button
                  type="button"
                  class="goto mono"
                  onClick={() => select({ kind: 'frame', pfn: slab.pfn, offset: 0 })}
                >
                  {hex(slab.pfn)}
                </button>
                <Cells
                  label={`Objects of the slab at frame ${hex(slab.pfn)}`}
                  count={slab.objects.length}
                  size={11}
                  colour={(i) => (slab.objects[i] === 1 ? '#c2552d' : '--never')}
                  tell={(i) => `object ${i}, ${slab.objects[i] === 1 ? 'in use' : 'free'}`}
                  pick={(i) => {
                    const at = slab.pfn * 4096 + slab.first + i * cache.size;
                    select({ kind: 'frame', pfn: Math.floor(at / 4096), offset: at % 4096 });
                  }}
                  selected={
                    selectedFrame.value === slab.pfn && slab.frames === 1 ? selectedObject() : -1
                  }
                />
                <span class="faint">{slab.onCpu ? 'on a CPU' : ''}</span>
              </div>
            ))}
          </section>
        )}
      </div>
    </div>
  );

  /** The object of a one-frame slab that holds the selected byte. */
  function selectedObject(): number {
    const s = selectedOffset();
    return cache === undefined ? -1 : Math.floor(s / cache.size);
  }
}

function selectedOffset(): number {
  const s = selection.value;
  return s?.kind === 'frame' ? s.offset : 0;
}
