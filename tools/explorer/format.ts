// Numbers as people read them.

/** 0x and hexadecimal digits; negative addresses as the 64 bits they stand for. */
export function hex(n: number): string {
  if (n >= 0) return `0x${n.toString(16)}`;
  return `0x${BigInt.asUintN(64, BigInt(n)).toString(16)}`;
}

/** `1,234,567`. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return '∞';
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `512 B`, `4 KiB`, `1.5 MiB`. */
export function bytes(n: number): string {
  if (!Number.isFinite(n) || n > 2 ** 60) return 'no limit';
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (Math.abs(n) < size) continue;
    const value = n / size;
    return `${Number.isInteger(value) ? count(value) : value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
  }
  return `${Math.round(n)} B`;
}

/** Frames as bytes. */
export function pages(n: number): string {
  return bytes(n * 4096);
}

/** `12.3 %`; `<0.1 %` for what is little but not nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const p = (100 * part) / whole;
  return p < 0.1 ? '<0.1 %' : `${p.toFixed(1)} %`;
}
