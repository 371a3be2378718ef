// Which process a view shows.

import type { VNode } from 'preact';
import { pid, status } from '../model.ts';

export function ProcessPicker(props: { withHeap?: boolean }): VNode {
  const all = (status.value?.processes ?? []).filter(
    (p) => props.withHeap !== true || p.runtime !== undefined,
  );
  return (
    <label class="picker">
      process{' '}
      <select
        value={String(pid.value)}
        onChange={(e) => (pid.value = Number(e.currentTarget.value))}
      >
        {all.map((p) => (
          <option key={p.pid} value={String(p.pid)}>
            {p.name} ({p.pid})
          </option>
        ))}
      </select>
    </label>
  );
}
