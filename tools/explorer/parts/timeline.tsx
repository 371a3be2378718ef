// The timeline: memory over the run, events below it, and where the machine stands.
//
// It is a slider: click, drag or arrow keys move in time.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { count, pages } from '../format.ts';
import { move, status, timeline } from '../model.ts';
import type { Timeline } from '../timeline-data.ts';
import { dark } from '../theme.ts';

const HEIGHT = 64;

export function TimelineBar(): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const wanted = useSignal(-1);
  const t = timeline.value;
  const s = status.value;
  const length = Math.max(1, s?.length ?? 1);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const resize = new ResizeObserver(() => (width.value = element.clientWidth));
    resize.observe(element);
    return () => resize.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current !== null && t !== undefined && width.value > 0) {
      draw(canvas.current, t, length, width.value);
    }
  }, [t, length, width.value, dark.value]);
  const at = wanted.value >= 0 ? wanted.value : (s?.position ?? 0);
  const stepAt = (e: PointerEvent): number => {
    const box = (e.currentTarget as HTMLElement).getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (e.clientX - box.left) / Math.max(1, box.width)));
    return Math.round(part * length);
  };
  const column = t === undefined ? 0 : Math.min(t.counters.resident.length - 1, at / t.perColumn);
  return (
    <footer class="time" aria-label="Timeline">
      <div class="time-text">
        <span class="time-step mono">
          {s === undefined ? '' : s.position === 0 ? 'before the first step' : s.done}
        </span>
        <span class="time-outcome soft mono">{s?.outcome}</span>
        <span class="spring" />
        {t !== undefined && (
          <span class="soft time-sum">
            {pages(t.counters.resident[Math.floor(column)] ?? 0)} resident ·{' '}
            {count(t.counters.pgfault[Math.floor(column)] ?? 0)} faults · {count(t.nrEvents)} events
            {t.known < length ? ', not yet run to the end' : ''}
          </span>
        )}
      </div>
      <div
        class="time-track"
        role="slider"
        tabIndex={0}
        aria-label="Step of the run"
        aria-valuemin={0}
        aria-valuemax={length}
        aria-valuenow={at}
        aria-valuetext={`step ${at}: ${s?.done ?? ''}`}
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId);
          wanted.value = stepAt(e);
        }}
        onPointerMove={(e) => {
          if (wanted.value >= 0) wanted.value = stepAt(e);
        }}
        onPointerUp={() => {
          const to = wanted.value;
          wanted.value = -1;
          if (to >= 0) void move({ to });
        }}
        onKeyDown={(e) => {
          const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
          if (by === undefined) return;
          e.preventDefault();
          void move({ by });
        }}
      >
        <canvas ref={canvas} style={{ height: `${HEIGHT}px` }} aria-hidden="true" />
        <span class="time-mark" style={{ left: `${(100 * at) / length}%` }} />
      </div>
    </footer>
  );
}

/** Resident memory as an area, free memory's low as nothing: faults and other events as ticks. */
function draw(canvas: HTMLCanvasElement, t: Timeline, length: number, width: number): void {
  const ratio = window.devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  const context = canvas.getContext('2d');
  if (context === null) return;
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name);
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, HEIGHT);
  const area = HEIGHT - 18;
  const x = (n: number): number => (n * t.perColumn * width) / length;
  const { resident, swapped } = t.counters;
  const most = Math.max(1, ...resident.map((r, i) => r + (swapped[i] ?? 0)));
  const fill = (values: (i: number) => number, ink: string): void => {
    context.fillStyle = ink;
    context.beginPath();
    context.moveTo(0, area);
    resident.forEach((_, i) => {
      const y = area - (values(i) / most) * (area - 4);
      context.lineTo(x(i), y);
      context.lineTo(x(i + 1), y);
    });
    context.lineTo(x(resident.length), area);
    context.fill();
  };
  fill((i) => (resident[i] ?? 0) + (swapped[i] ?? 0), colour('--warn-soft'));
  fill((i) => resident[i] ?? 0, colour('--area'));
  const ticks = (test: (name: string) => boolean, top: number, ink: string): void => {
    const columns = new Float64Array(t.counters.resident.length);
    for (const { name, counts } of t.events) {
      if (test(name)) counts.forEach((n, i) => (columns[i]! += n));
    }
    const peak = Math.max(1, ...columns);
    context.fillStyle = ink;
    columns.forEach((n, i) => {
      if (n === 0) return;
      const h = 2 + 5 * Math.sqrt(n / peak);
      context.fillRect(x(i), top + 7 - h, Math.max(1, x(1) - 0.5), h);
    });
  };
  ticks((name) => name.startsWith('page_fault'), area + 1, colour('--accent'));
  ticks((name) => /vmscan|oom|mark_victim|tlb/.test(name), area + 10, colour('--warn'));
}
