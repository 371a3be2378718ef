// The page: header, list of views, the view, the chain of the selection, the timeline.

import type { VNode } from 'preact';
import { status, view, type ViewName } from './model.ts';
import { dark, toggleTheme } from './theme.ts';
import { MemoryView } from './views/memory.tsx';

export const VIEWS: readonly { name: ViewName; label: string; key: string; draw: () => VNode }[] = [
  { name: 'memory', label: 'Memory', key: '1', draw: () => <MemoryView /> },
];

export function App(): VNode {
  const shown = VIEWS.find((v) => v.name === view.value) ?? VIEWS[0]!;
  return (
    <div class="page" data-view={view.value}>
      <header class="head">
        <h1>pagewalk</h1>
        <span class="mono soft">{status.value?.name ?? ''}</span>
        <span class="spring" />
        <button type="button" onClick={toggleTheme}>
          {dark.value ? 'Light' : 'Dark'}
        </button>
      </header>
      <nav class="nav" aria-label="Views">
        {VIEWS.map((v) => (
          <button
            type="button"
            key={v.name}
            aria-current={v.name === shown.name ? 'page' : undefined}
            onClick={() => (view.value = v.name)}
          >
            {v.label} <kbd>{v.key}</kbd>
          </button>
        ))}
      </nav>
      <main class="main">{shown.draw()}</main>
    </div>
  );
}
