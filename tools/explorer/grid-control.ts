// Moves the sight over the map of frames: pointer, wheel, two fingers, keys; draws when needed.

import { cellOf, frameAt, type GridLayout } from './grid-layout.ts';
import { Grid, type Sight } from './grid.ts';
import { paletteBytes } from './palette.ts';

export interface GridEvents {
  /** The sight or the size changed: overlays are to be placed anew. */
  changed(): void;
  /** The frame under the pointer, or -1. */
  hover(pfn: number): void;
  pick(pfn: number): void;
}

const MAX_CELL = 32; // pixels of the screen
const CLICK = 4; // pixels that a click may move

export class GridControl {
  layout: GridLayout | undefined;
  /** Pictures drawn so far. */
  drawn = 0;
  private readonly canvas: HTMLCanvasElement;
  private readonly events: GridEvents;
  private readonly grid: Grid;
  private readonly resize: ResizeObserver;
  private readonly abort = new AbortController();
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private sight: Sight = { x: 0, y: 0, scale: 1 };
  private shown: readonly [number, number] = [-1, -1];
  private picked = -1;
  private moved = 0;
  private isFitted = true;
  private isMoving = false;
  /** The request for the next picture; 0 for none. */
  private frame = 0;
  private settle = 0;

  constructor(canvas: HTMLCanvasElement, events: GridEvents) {
    this.canvas = canvas;
    this.events = events;
    this.grid = new Grid(canvas);
    this.resize = new ResizeObserver(() => this.sized());
    this.resize.observe(canvas);
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      handle: (e: HTMLElementEventMap[K]) => void,
    ): void => canvas.addEventListener(type, handle, { signal: this.abort.signal, passive: false });
    on('pointerdown', (e) => this.down(e));
    on('pointermove', (e) => this.move(e));
    on('pointerup', (e) => this.up(e));
    on('pointercancel', (e) => void this.pointers.delete(e.pointerId));
    on('pointerleave', () => this.events.hover(-1));
    on('wheel', (e) => {
      e.preventDefault();
      this.zoomAt(Math.exp(-e.deltaY * 0.0015), e.offsetX, e.offsetY);
    });
    on('keydown', (e) => this.key(e));
  }

  setTheme(dark: boolean): void {
    const level = dark ? [0x12 / 255, 0x15 / 255, 0x1a / 255] : [1, 1, 1];
    this.grid.setColours(paletteBytes(dark), level as [number, number, number]);
    this.redraw();
  }

  setFrames(layout: GridLayout, classes: Uint8Array<ArrayBuffer>): void {
    const isNew = this.layout?.nrFrames !== layout.nrFrames;
    this.layout = layout;
    this.grid.setFrames(layout, classes);
    if (isNew) this.fit();
    this.redraw();
  }

  /** Classes that stand out; all where the set is empty. */
  setShown(ids: ReadonlySet<number>): void {
    const bits: [number, number] = ids.size === 0 ? [-1, -1] : [0, 0];
    for (const id of ids) bits[id < 32 ? 0 : 1] |= 1 << (id & 31);
    this.shown = bits;
    this.redraw();
  }

  /** The whole of memory. */
  fit(): void {
    const { layout } = this;
    if (layout === undefined) return;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const scale = Math.max(layout.columns / Math.max(1, w), layout.rows / Math.max(1, h));
    this.sight = {
      x: (layout.columns - w * scale) / 2,
      y: (layout.rows - h * scale) / 2,
      scale,
    };
    this.isFitted = true;
    this.redraw();
  }

  zoom(factor: number): void {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const at = this.picked < 0 ? undefined : this.placeOf(this.picked);
    const inside = at !== undefined && at.x > 0 && at.y > 0 && at.x < w && at.y < h;
    this.zoomAt(factor, inside ? at.x : w / 2, inside ? at.y : h / 2);
  }

  /** Where a frame's mark is on the canvas: a square, at least of 10 pixels around its cell. */
  placeOf(pfn: number): { x: number; y: number; size: number } | undefined {
    if (this.layout === undefined) return undefined;
    const [column, row] = cellOf(this.layout, pfn);
    const cell = 1 / this.sight.scale;
    const size = Math.max(10, cell + 2);
    return {
      x: (column + 0.5 - this.sight.x) * cell - size / 2,
      y: (row + 0.5 - this.sight.y) * cell - size / 2,
      size,
    };
  }

  /** Pixels from the canvas's top to the row of a frame. */
  rowTop(pfn: number): number {
    if (this.layout === undefined) return 0;
    return (cellOf(this.layout, pfn)[1] - this.sight.y) / this.sight.scale;
  }

  /** Brings a frame into sight; moves only where it is outside. */
  reveal(pfn: number): void {
    this.picked = pfn;
    const at = this.placeOf(pfn);
    if (at === undefined) return;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    if (at.x < 0 || at.y < 0 || at.x + at.size > w || at.y + at.size > h) {
      this.sight.x += (at.x - w / 2) * this.sight.scale;
      this.sight.y += (at.y - h / 2) * this.sight.scale;
      this.redraw();
    }
  }

  /** Moves the sight by pixels. */
  pan(dx: number, dy: number): void {
    this.sight.x += dx * this.sight.scale;
    this.sight.y += dy * this.sight.scale;
    this.isFitted = false;
    this.redraw(true);
  }

  dispose(): void {
    this.abort.abort();
    this.resize.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settle);
    this.grid.dispose();
  }

  private sized(): void {
    const ratio = window.devicePixelRatio;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(w * ratio));
    this.canvas.height = Math.max(1, Math.round(h * ratio));
    if (this.isFitted) this.fit();
    this.redraw();
  }

  /** Draws with the next picture of the screen; coarsely while moving, then once in full. */
  private redraw(moving = false): void {
    clearTimeout(this.settle);
    if (moving) this.settle = window.setTimeout(() => this.redraw(), 120);
    this.isMoving = moving;
    if (this.frame !== 0) return; // a picture is on its way: it shows the newest sight
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const ratio = window.devicePixelRatio;
      const sight = { ...this.sight, scale: this.sight.scale / ratio };
      this.grid.draw(sight, this.shown, this.isMoving);
      this.drawn++;
      this.canvas.dataset['drawn'] = String(this.drawn);
      this.events.changed();
    });
  }

  private zoomAt(factor: number, x: number, y: number): void {
    if (this.layout === undefined) return;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const all = Math.max(this.layout.columns / Math.max(1, w), this.layout.rows / Math.max(1, h));
    const scale = Math.min(all * 1.5, Math.max(1 / MAX_CELL, this.sight.scale / factor));
    this.sight.x += x * (this.sight.scale - scale);
    this.sight.y += y * (this.sight.scale - scale);
    this.sight.scale = scale;
    this.isFitted = false;
    this.redraw(true);
  }

  private at(x: number, y: number): number {
    if (this.layout === undefined) return -1;
    const column = Math.floor(this.sight.x + x * this.sight.scale);
    const row = Math.floor(this.sight.y + y * this.sight.scale);
    return frameAt(this.layout, column, row);
  }

  private down(e: PointerEvent): void {
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    this.moved = this.pointers.size > 1 ? CLICK : 0;
  }

  private move(e: PointerEvent): void {
    const before = this.pointers.get(e.pointerId);
    if (before === undefined) {
      this.events.hover(this.at(e.offsetX, e.offsetY));
      return;
    }
    const [dx, dy] = [e.offsetX - before.x, e.offsetY - before.y];
    this.moved += Math.abs(dx) + Math.abs(dy);
    const other = [...this.pointers].find(([id]) => id !== e.pointerId)?.[1];
    if (other !== undefined) {
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(e.offsetX - other.x, e.offsetY - other.y);
      this.zoomAt(is / Math.max(1, was), other.x, other.y);
    } else if (this.moved >= CLICK) this.pan(-dx, -dy);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
  }

  private up(e: PointerEvent): void {
    this.pointers.delete(e.pointerId);
    if (this.moved >= CLICK) return;
    const pfn = this.at(e.offsetX, e.offsetY);
    if (pfn >= 0) this.events.pick(pfn);
  }

  private key(e: KeyboardEvent): void {
    const step = e.shiftKey ? 16 : 1;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[e.key];
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (move !== undefined && this.layout !== undefined) {
      const [column, row] = cellOf(this.layout, Math.max(0, this.picked));
      const pfn = frameAt(this.layout, column + move[0], row + move[1]);
      if (pfn >= 0) this.events.pick(pfn);
    } else if (e.key === '+' || e.key === '=') this.zoom(2);
    else if (e.key === '-') this.zoom(0.5);
    else if (e.key === '0') this.fit();
    else if (e.key === 'H') this.pan(-80, 0);
    else if (e.key === 'L') this.pan(80, 0);
    else if (e.key === 'K') this.pan(0, -80);
    else if (e.key === 'J') this.pan(0, 80);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }
}
