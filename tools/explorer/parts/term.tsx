// A term of the field: press it and its explanation opens.

import type { ComponentChildren, VNode } from 'preact';
import { explained } from '../model.ts';
import { glossary } from '../glossary.ts';

/** The mark behind a word, or the word itself where it has children. */
export function Term(props: { id: string; children?: ComponentChildren }): VNode | null {
  const entry = glossary[props.id];
  if (entry === undefined) return props.children === undefined ? null : <>{props.children}</>;
  const open = (): void => {
    explained.value = props.id;
  };
  if (props.children !== undefined) {
    return (
      <button type="button" class="term" title={entry.text} onClick={open}>
        {props.children}
      </button>
    );
  }
  return (
    <button
      type="button"
      class="term term-mark"
      title={entry.text}
      aria-label={`What is ${entry.name}?`}
      onClick={open}
    >
      ?
    </button>
  );
}
