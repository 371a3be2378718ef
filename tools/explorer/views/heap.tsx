// The heap of a process, Go's or CPython's.

import type { VNode } from 'preact';
import { pid, status } from '../model.ts';
import { ProcessPicker } from '../parts/process-picker.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { GoHeap } from './go-heap.tsx';
import { PythonHeap } from './python-heap.tsx';

export function HeapView(): VNode {
  const process = status.value?.processes.find((p) => p.pid === pid.value);
  const runtime = process?.runtime;
  return (
    <div class="view">
      <ViewHead
        title={runtime === 'go' ? 'Go heap' : runtime === 'python' ? 'Python heap' : 'Heap'}
        term={runtime === 'python' ? 'py-arena' : 'go-span'}
      >
        <ProcessPicker />
      </ViewHead>
      {runtime === 'go' && <GoHeap pid={pid.value} />}
      {runtime === 'python' && <PythonHeap pid={pid.value} />}
      {runtime === undefined && (
        <p class="soft empty">
          The heap of this process is not modelled: a recording knows what the program asked of the
          kernel, not what it keeps in its heap. Open a workload or an allocation script to see one.
        </p>
      )}
    </div>
  );
}
