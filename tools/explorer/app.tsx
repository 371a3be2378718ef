// The page: header, list of views, the view, the chain of the selection, the timeline.

import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { onKey } from './keys.ts';
import { open, runToBreak, show, status, view, type ViewName } from './model.ts';
import { ChainPanel } from './parts/chain-panel.tsx';
import { Dialogues } from './parts/dialogues.tsx';
import { Header } from './parts/header.tsx';
import { TimelineBar } from './parts/timeline.tsx';
import { keepLocal } from './sources.ts';
import { BuddyView } from './views/buddy.tsx';
import { BytesView } from './views/bytes.tsx';
import { CompareView } from './views/compare.tsx';
import { EventsView } from './views/events.tsx';
import { HeapView } from './views/heap.tsx';
import { LruView } from './views/lru.tsx';
import { MemoryView } from './views/memory.tsx';
import { SlabView } from './views/slab.tsx';
import { SpaceView } from './views/space.tsx';
import { TlbView } from './views/tlb.tsx';

interface View {
  readonly name: ViewName;
  readonly label: string;
  readonly draw: () => VNode;
}

/** In the order of model.VIEW_NAMES. */
const VIEWS: readonly View[] = [
  { name: 'memory', label: 'Memory', draw: () => <MemoryView /> },
  { name: 'space', label: 'Addresses', draw: () => <SpaceView /> },
  { name: 'heap', label: 'Heap', draw: () => <HeapView /> },
  { name: 'buddy', label: 'Buddy', draw: () => <BuddyView /> },
  { name: 'slab', label: 'Slab', draw: () => <SlabView /> },
  { name: 'tlb', label: 'TLB', draw: () => <TlbView /> },
  { name: 'lru', label: 'LRU, swap', draw: () => <LruView /> },
  { name: 'bytes', label: 'Bytes', draw: () => <BytesView /> },
  { name: 'events', label: 'Events', draw: () => <EventsView /> },
  { name: 'compare', label: 'Compare', draw: () => <CompareView /> },
];

export function App(): VNode {
  useEffect(() => {
    const key = (e: KeyboardEvent): void => onKey(e, () => void runToBreak());
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, []);
  const shown = VIEWS.find((v) => v.name === view.value) ?? VIEWS[0]!;
  return (
    <div
      class="page"
      data-view={view.value}
      onDragOver={(e) => e.preventDefault()}
      onDrop={(e) => {
        e.preventDefault();
        const file = e.dataTransfer?.files[0];
        if (file !== undefined) {
          void file.arrayBuffer().then((b) => open(keepLocal(file.name, new Uint8Array(b))));
        }
      }}
    >
      <Header />
      <nav class="nav" aria-label="Views">
        {VIEWS.map((v, i) => (
          <button
            type="button"
            key={v.name}
            aria-current={v.name === view.value ? 'page' : undefined}
            onClick={() => show(v.name)}
          >
            {v.label} <kbd aria-hidden="true">{(i + 1) % 10}</kbd>
          </button>
        ))}
        <button
          type="button"
          class="only-phone"
          aria-current={view.value === 'chain' ? 'page' : undefined}
          onClick={() => show('chain')}
        >
          Chain
        </button>
      </nav>
      <main class="main" tabIndex={-1}>
        {status.value === undefined ? <p class="starting">Starting…</p> : shown.draw()}
      </main>
      <aside class="side" aria-label="Chain of the selection">
        <ChainPanel />
      </aside>
      <TimelineBar />
      <Dialogues />
    </div>
  );
}
