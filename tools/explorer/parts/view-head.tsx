// The head of a view: what it shows, and figures of the whole.

import type { ComponentChildren, VNode } from 'preact';
import { Term } from './term.tsx';

export function ViewHead(props: {
  title: string;
  term: string;
  children?: ComponentChildren;
}): VNode {
  return (
    <header class="view-head">
      <h2>
        {props.title} <Term id={props.term} />
      </h2>
      <div class="view-sum">{props.children}</div>
    </header>
  );
}
