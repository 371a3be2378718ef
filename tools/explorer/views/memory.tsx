// Physical memory: every frame a cell, coloured by what it is used for.

import { useComputed, useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { frameClassName } from '../../inspect/frame-classes.ts';
import type { FrameMap } from '../../inspect/frames.ts';
import { bytes, count, hex, pages, percent } from '../format.ts';
import { gridLayout } from '../grid-layout.ts';
import { GridControl } from '../grid-control.ts';
import { select, selectedFrame } from '../model.ts';
import { colourOf } from '../palette.ts';
import { useSnapshot } from '../snapshot.ts';
import { dark } from '../theme.ts';
import { ViewHead } from '../parts/view-head.tsx';

export function MemoryView(): VNode {
  const map = useSnapshot('frames', []);
  const shown = useSignal<ReadonlySet<number>>(new Set());
  return (
    <div class="view view-memory">
      <ViewHead title="Physical memory" term="frame">
        {map !== undefined && (
          <>
            {count(map.nrFrames)} frames of 4 KiB, {bytes(map.nrFrames * 4096)}
          </>
        )}
      </ViewHead>
      {map !== undefined && (
        <div class="memory-body">
          <GridCanvas map={map} shown={shown.value} />
          <Legend map={map} shown={shown.value} show={(s) => (shown.value = s)} />
        </div>
      )}
    </div>
  );
}

function GridCanvas(props: { map: FrameMap; shown: ReadonlySet<number> }): VNode {
  const { map, shown } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const control = useRef<GridControl | undefined>(undefined);
  const sight = useSignal(0);
  const hover = useSignal(-1);
  const problem = useSignal('');
  useEffect(() => {
    if (canvas.current === null) return;
    try {
      const made = new GridControl(canvas.current, {
        changed: () => sight.value++,
        hover: (pfn) => (hover.value = pfn),
        pick: (pfn) => select({ kind: 'frame', pfn, offset: 0 }),
      });
      control.current = made;
      return () => made.dispose();
    } catch (e) {
      problem.value = e instanceof Error ? e.message : String(e);
      return undefined;
    }
  }, []);
  useEffect(() => control.current?.setFrames(gridLayout(map.nrFrames), map.classes), [map]);
  useEffect(() => control.current?.setTheme(dark.value), [dark.value]);
  useEffect(() => control.current?.setShown(shown), [shown]);
  const mark = useComputed(() => {
    const pfn = selectedFrame.value;
    return sight.value < 0 || pfn < 0 ? undefined : control.current?.placeOf(pfn);
  });
  useEffect(() => {
    if (selectedFrame.value >= 0) control.current?.reveal(selectedFrame.value);
  }, [selectedFrame.value, map]);
  const pfn = hover.value;
  const zones = sight.value === 0 ? [] : map.zones;
  return (
    <div class="grid-frame">
      <canvas
        ref={canvas}
        class="grid"
        tabIndex={0}
        role="application"
        aria-label={
          'Map of all frames. Arrow keys move the selection, plus and minus zoom, ' +
          'zero shows all, H J K L pan.'
        }
        data-testid="grid"
      />
      {zones.map((zone) => {
        const top = control.current?.rowTop(zone.start) ?? 0;
        return top < -4 ? null : (
          <span key={zone.start} class="grid-zone" style={{ top: `${top}px` }}>
            {zone.name}
          </span>
        );
      })}
      {mark.value !== undefined && (
        <span
          class="grid-mark"
          style={{
            left: `${mark.value.x}px`,
            top: `${mark.value.y}px`,
            width: `${mark.value.size}px`,
            height: `${mark.value.size}px`,
          }}
        />
      )}
      <div class="grid-tools">
        <button type="button" onClick={() => control.current?.zoom(2)} aria-label="Zoom in">
          +
        </button>
        <button type="button" onClick={() => control.current?.zoom(0.5)} aria-label="Zoom out">
          −
        </button>
        <button type="button" onClick={() => control.current?.fit()} aria-label="Show all">
          all
        </button>
      </div>
      <div class="grid-hover mono" aria-hidden="true">
        {pfn >= 0
          ? `frame ${hex(pfn)}  ${frameClassName(map.classes[pfn] ?? 0, map.processes)}`
          : ''}
      </div>
      {problem.value !== '' && <p class="grid-problem">{problem.value}</p>}
    </div>
  );
}

function Legend(props: {
  map: FrameMap;
  shown: ReadonlySet<number>;
  show: (s: ReadonlySet<number>) => void;
}): VNode {
  const { map, shown, show } = props;
  const total = map.counts.reduce((a, b) => a + b, 0) - (map.counts[0] ?? 0);
  const rows = [...map.counts.keys()].filter((id) => id > 0 && (map.counts[id] ?? 0) > 0);
  rows.sort((a, b) => order(a) - order(b));
  const toggle = (id: number): void => {
    const next = new Set(shown);
    if (!next.delete(id)) next.add(id);
    show(next);
  };
  return (
    <div class="legend" role="group" aria-label="Uses of frames: press to make them stand out">
      {rows.map((id) => (
        <button
          type="button"
          key={id}
          class="legend-row"
          aria-pressed={shown.has(id)}
          title={`${percent(map.counts[id] ?? 0, total)} of all`}
          onClick={() => toggle(id)}
        >
          <i style={{ background: colourOf(id, dark.value) }} />
          <span class="legend-name">{frameClassName(id, map.processes)}</span>
          <span class="num">{pages(map.counts[id] ?? 0)}</span>
        </button>
      ))}
    </div>
  );
}

/** Uses first, by number; then free memory, the largest blocks last. */
function order(id: number): number {
  if (id >= 48) return 14.5 + id / 1000;
  return id >= 32 ? 100 + id : id === 9 ? 99 : id < 9 ? 20 + id : id;
}
