// An object and what it refers to: the object at the left, lines to the others at the right.

import type { VNode } from 'preact';

export interface GraphNode {
  readonly key: number;
  readonly label: string;
  readonly detail: string;
  readonly pick: () => void;
}

const ROW = 26;

export function Graph(props: {
  root: { label: string; detail: string };
  nodes: readonly GraphNode[];
  more: number;
}): VNode {
  const { root, nodes, more } = props;
  if (nodes.length === 0) return <p class="soft">It refers to nothing.</p>;
  const height = nodes.length * ROW;
  const middle = Math.min(height / 2, 3.5 * ROW);
  return (
    <div class="graph">
      <div class="graph-root" style={{ marginTop: `${middle - ROW / 2}px` }}>
        {root.label}
      </div>
      <svg width="56" height={height} aria-hidden="true">
        {nodes.map((n, i) => {
          const y = i * ROW + ROW / 2;
          return <path key={`${n.key}/${i}`} d={`M0 ${middle} C 28 ${middle} 28 ${y} 54 ${y}`} />;
        })}
      </svg>
      <ul>
        {nodes.map((n, i) => (
          <li key={`${n.key}/${i}`} style={{ height: `${ROW}px` }}>
            <button type="button" class="goto" onClick={n.pick}>
              {n.label}
            </button>{' '}
            <span class="faint mono">{n.detail}</span>
          </li>
        ))}
        {more > 0 && <li class="faint">and {more} more</li>}
      </ul>
    </div>
  );
}
