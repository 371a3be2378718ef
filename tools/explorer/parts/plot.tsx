// One or two counters over the share of the run: uPlot, drawn in the page's colours.

import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { dark } from '../theme.ts';

const POINTS = 240;

export function Plot(props: {
  label: string;
  first: Float64Array;
  second: Float64Array | undefined;
  text: (n: number) => string;
}): VNode {
  const { label, first, second, text } = props;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const ink = (name: string): string => style.getPropertyValue(name);
    const axis = {
      stroke: ink('--soft'),
      grid: { stroke: ink('--line'), width: 1 },
      ticks: { stroke: ink('--line'), width: 1 },
      font: '11px system-ui',
    };
    const line = (name: string) => ({ stroke: ink(name), width: 1.5, points: { show: false } });
    const x = Array.from({ length: POINTS + 1 }, (_, i) => (100 * i) / POINTS);
    const data: [number[], number[], ...number[][]] = [x, thin(first)];
    if (second !== undefined) data.push(thin(second));
    const plot = new UPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: 150,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: {
          x: { time: false },
          y: { range: (_, low, high) => [Math.min(0, low), high * 1.05 + 1] },
        },
        axes: [
          { ...axis, size: 26, values: (_, at) => at.map((n) => `${n} %`) },
          { ...axis, size: 64, values: (_, at) => at.map((n) => text(n)) },
        ],
        series: [{}, line('--accent'), ...(second === undefined ? [] : [line('--second')])],
      },
      data,
      element,
    );
    const resize = new ResizeObserver(() => {
      plot.setSize({ width: Math.max(200, element.clientWidth), height: 150 });
    });
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [first, second, dark.value]);
  return (
    <div
      ref={box}
      class="plot"
      role="img"
      aria-label={`${label}: from ${text(first[0] ?? 0)} to ${text(first.at(-1) ?? 0)}`}
    />
  );
}

/** As many points as the plot has, evenly over the run. */
function thin(values: Float64Array): number[] {
  return Array.from({ length: POINTS + 1 }, (_, i) => {
    return values[Math.round((i * (values.length - 1)) / POINTS)] ?? 0;
  });
}
