// Many small things as a grid of cells: slots, pages, entries. Drawn on a canvas; picked with the
// pointer, or with arrow keys and Enter.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { dark } from '../theme.ts';

export interface CellsProps {
  readonly label: string;
  readonly count: number;
  /** A CSS colour, or a custom property such as `--on`. */
  readonly colour: (i: number) => string;
  /** What cell i is, for the pointer and for those who do not see. */
  readonly tell: (i: number) => string;
  readonly pick: (i: number) => void;
  /** The cell that is selected, -1 for none. */
  readonly selected?: number;
  /** Pixels a cell, and cells a row: as many as fit where not given. */
  readonly size?: number;
  /** Pixels of a cell's height where that is not its width. */
  readonly height?: number;
  readonly columns?: number;
  /** A narrow gap between cells. */
  readonly gap?: number;
}

export function Cells(props: CellsProps): VNode {
  const { label, count, size = 12, gap = 1, selected = -1 } = props;
  const { height = size } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const cursor = useSignal(-1);
  const fit = Math.max(1, Math.floor(width.value / size));
  const columns = props.columns ?? fit;
  const rows = Math.ceil(count / columns);
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (element === null || element === undefined) return;
    const resize = new ResizeObserver(() => (width.value = element.clientWidth));
    resize.observe(element);
    return () => resize.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    drawCells(element, { ...props, size, height, gap, columns, rows, selected, dark: dark.value });
  });
  const now = selected >= 0 ? `; ${props.tell(selected)}` : '';
  const cellAt = (e: MouseEvent): number => {
    const column = Math.floor(e.offsetX / size);
    const i = Math.floor(e.offsetY / height) * columns + column;
    return column < columns && i < count ? i : -1;
  };
  const move = (e: KeyboardEvent): void => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[e.key];
    const from = cursor.value >= 0 ? cursor.value : selected;
    if (by !== undefined) {
      cursor.value = Math.min(count - 1, Math.max(0, from < 0 ? 0 : from + by));
      props.pick(cursor.value);
    } else if (e.key === 'Enter' && from >= 0) props.pick(from);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div class="cells">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label={`${label}: arrow keys select${now}`}
        style={{ width: `${columns * size}px`, height: `${rows * height}px` }}
        onClick={(e) => {
          const i = cellAt(e);
          if (i >= 0) props.pick(i);
        }}
        onMouseMove={(e) => {
          const i = cellAt(e);
          e.currentTarget.title = i < 0 ? '' : props.tell(i);
        }}
        onKeyDown={move}
      />
    </div>
  );
}

interface Drawing extends CellsProps {
  readonly size: number;
  readonly height: number;
  readonly gap: number;
  readonly columns: number;
  readonly rows: number;
  readonly selected: number;
  /** Drawn anew when it changes: the colours do. */
  readonly dark: boolean;
}

function drawCells(canvas: HTMLCanvasElement, d: Drawing): void {
  const ratio = window.devicePixelRatio;
  const { size, height, gap, columns, rows, count, selected } = d;
  canvas.width = Math.max(1, Math.round(columns * size * ratio));
  canvas.height = Math.max(1, Math.round(rows * height * ratio));
  const context = canvas.getContext('2d');
  if (context === null) return;
  const style = getComputedStyle(canvas);
  const known = new Map<string, string>();
  const ink = (name: string): string => {
    let css = known.get(name);
    if (css === undefined) {
      css = name.startsWith('--') ? style.getPropertyValue(name) : name;
      known.set(name, css);
    }
    return css;
  };
  context.scale(ratio, ratio);
  for (let i = 0; i < count; i++) {
    context.fillStyle = ink(d.colour(i));
    const x = (i % columns) * size;
    const y = Math.floor(i / columns) * height;
    context.fillRect(x, y, size - gap, height - Math.min(1, height - 1));
  }
  if (selected < 0 || selected >= count) return;
  context.strokeStyle = ink('--ink');
  context.lineWidth = 2;
  const x = (selected % columns) * size;
  const y = Math.floor(selected / columns) * height;
  context.strokeRect(x, y, Math.max(3, size - gap), Math.max(3, height - 1));
}

/** What the colours mean. */
export function Key(props: { items: readonly (readonly [colour: string, text: string])[] }): VNode {
  return (
    <ul class="key">
      {props.items.map(([colour, text]) => (
        <li key={text}>
          <i
            class="swatch"
            style={{ background: colour.startsWith('--') ? `var(${colour})` : colour }}
          />
          {text}
        </li>
      ))}
    </ul>
  );
}
