// Causes, under the chain: questions about the selection, and the answer as a chain of steps that
// can be followed: each names the step in which it happened and what it was about.

import type { VNode } from 'preact';
import type { Chain } from '../../inspect/chain.ts';
import type { Selection } from '../../inspect/selection.ts';
import type { Cause, CauseSubject } from '../../session/why.ts';
import { askWhy, move, pid, select, why } from '../model.ts';

export function WhyPart(props: { found: Chain }): VNode {
  const { found } = props;
  const { va, pfn } = found;
  const of = found.pid ?? pid.value;
  const inHeap =
    va !== undefined && found.links.some((l) => l.kind === 'object' || l.kind === 'block');
  const inSlab = pfn >= 0 && found.links.some((l) => l.kind === 'slab');
  return (
    <section class="also why" aria-label="Causes">
      <h3>Why?</h3>
      <p class="why-questions">
        {va !== undefined && (
          <button
            type="button"
            class="button"
            data-testid="why-fault"
            onClick={() => void askWhy({ what: 'fault', pid: of, va })}
          >
            did it fault
          </button>
        )}
        {pfn >= 0 && (
          <button
            type="button"
            class="button"
            data-testid="why-frame"
            onClick={() => void askWhy({ what: 'frame', pfn })}
          >
            is the frame not free
          </button>
        )}
        {(inHeap || inSlab) && (
          <button
            type="button"
            class="button"
            data-testid="why-pinned"
            onClick={() =>
              void askWhy(
                inHeap
                  ? { what: 'pinned', pid: of, address: va }
                  : { what: 'pinned', pid: 0, address: pfn * 4096 },
              )
            }
          >
            can it not be given back
          </button>
        )}
        <button
          type="button"
          class="button"
          data-testid="why-rss"
          onClick={() => void askWhy({ what: 'rss', pid: of })}
        >
          is RSS this high
        </button>
      </p>
      {why.value !== undefined && (
        <div class="why-answer" data-testid="why-answer">
          <p>{why.value.answer}</p>
          <ol>
            {why.value.causes.map((cause, i) => (
              <CauseItem key={i} cause={cause} />
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function CauseItem(props: { cause: Cause }): VNode {
  const { about, label, step, text } = props.cause;
  return (
    <li>
      {step === undefined || step < 0 ? (
        <span class="faint">{step === undefined ? 'now' : 'at the start'}</span>
      ) : (
        <button
          type="button"
          class="goto mono"
          title={label}
          onClick={() => void move({ to: step + 1 })}
        >
          step {step + 1}
        </button>
      )}{' '}
      {about === undefined ? (
        text
      ) : (
        <button type="button" class="goto" onClick={() => select(selectionOf(about))}>
          {text}
        </button>
      )}
      {label !== '' && <span class="why-label mono faint">{label}</span>}
    </li>
  );
}

function selectionOf(about: CauseSubject): Selection {
  return about.kind === 'frame' ? { kind: 'frame', pfn: about.pfn, offset: 0 } : about;
}
