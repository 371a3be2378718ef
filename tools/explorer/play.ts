// Plays: step after step, some a second, as long as there are any.

import { move, playing, status } from './model.ts';

const INTERVAL_MS = 90;

export function play(): void {
  playing.value = !playing.value;
  if (playing.value) void run();
}

async function run(): Promise<void> {
  while (playing.value) {
    const s = status.value;
    if (s === undefined || s.ended) break;
    const by = Math.max(1, Math.round(s.length / 600));
    const started = performance.now();
    await move({ to: s.position + by });
    if (status.value?.position === s.position) break;
    const rest = INTERVAL_MS - (performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, Math.max(16, rest)));
  }
  playing.value = false;
}
