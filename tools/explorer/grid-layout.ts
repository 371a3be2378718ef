// Where each frame is drawn: pageblocks of 512 frames as tiles of 32 × 16 cells, in rows of tiles.
//
//     tile 0     tile 1     …  tiles a row: a power of two
//     0 … 31     512 … 543
//     32 … 63    544 …         so a huge page is a tile, a largest free block two

export const TILE_COLUMNS = 32;
export const TILE_ROWS = 16;
const TILE = TILE_COLUMNS * TILE_ROWS;

export interface GridLayout {
  readonly nrFrames: number;
  /** log2 of the tiles in a row. */
  readonly shift: number;
  /** Cells. */
  readonly columns: number;
  readonly rows: number;
}

/** A layout about a third wider than high. */
export function gridLayout(nrFrames: number): GridLayout {
  const tiles = Math.ceil(nrFrames / TILE);
  const wide = Math.sqrt(nrFrames * 1.3) / TILE_COLUMNS;
  const shift = Math.max(0, Math.round(Math.log2(Math.max(1, wide))));
  const perRow = 2 ** shift;
  return {
    nrFrames,
    shift,
    columns: perRow * TILE_COLUMNS,
    rows: Math.ceil(tiles / perRow) * TILE_ROWS,
  };
}

/** The frame of a cell; -1 outside. */
export function frameAt(layout: GridLayout, column: number, row: number): number {
  if (column < 0 || row < 0 || column >= layout.columns || row >= layout.rows) return -1;
  const tile = Math.floor(row / TILE_ROWS) * 2 ** layout.shift + Math.floor(column / TILE_COLUMNS);
  const pfn = tile * TILE + (row % TILE_ROWS) * TILE_COLUMNS + (column % TILE_COLUMNS);
  return pfn < layout.nrFrames ? pfn : -1;
}

/** Column and row of a frame's cell. */
export function cellOf(layout: GridLayout, pfn: number): readonly [column: number, row: number] {
  const tile = Math.floor(pfn / TILE);
  const within = pfn % TILE;
  const perRow = 2 ** layout.shift;
  return [
    (tile % perRow) * TILE_COLUMNS + (within % TILE_COLUMNS),
    Math.floor(tile / perRow) * TILE_ROWS + Math.floor(within / TILE_COLUMNS),
  ];
}
