// The dialogues: what to open, keys and help, and a term's explanation.

import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { glossary } from '../glossary.ts';
import { KEYS } from '../keys.ts';
import { dialogue, explained, open, openOther } from '../model.ts';
import { keepLocal, OFFERS } from '../sources.ts';

export function Dialogues(): VNode {
  return (
    <>
      {dialogue.value === 'open' && <OpenDialogue title="Open" pick={(id) => void open(id)} />}
      {dialogue.value === 'compare' && (
        <OpenDialogue title="Compare with" pick={(id) => void openOther(id)} />
      )}
      {dialogue.value === 'help' && <HelpDialogue />}
      {explained.value !== '' && <TermNote />}
    </>
  );
}

function Modal(props: { title: string; children: ComponentChildren }): VNode {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  const close = (): void => {
    dialogue.value = '';
  };
  return (
    <dialog
      ref={element}
      class="modal"
      aria-label={props.title}
      onClose={close}
      onClick={(e) => {
        if (e.target === element.current) close();
      }}
    >
      <header class="modal-head">
        <h2>{props.title}</h2>
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

function OpenDialogue(props: { title: string; pick: (id: string) => void }): VNode {
  const take = (file: File | undefined): void => {
    if (file === undefined) return;
    void file.arrayBuffer().then((b) => props.pick(keepLocal(file.name, new Uint8Array(b))));
  };
  return (
    <Modal title={props.title}>
      <p class="soft">
        A file of yours (drop it anywhere on the page): a recording, a scenario, an allocation
        script or a saved machine. It stays in this browser.
      </p>
      <input
        type="file"
        aria-label="File to open"
        onChange={(e) => take(e.currentTarget.files?.[0])}
      />
      <div class="offers">
        {OFFERS.map(({ kind, offers }) => (
          <section key={kind}>
            <h3>{kind}</h3>
            <ul>
              {offers.map((offer) => (
                <li key={offer.id}>
                  <button type="button" class="offer" onClick={() => props.pick(offer.id)}>
                    <span>{offer.label}</span> <span class="faint">{offer.about}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </Modal>
  );
}

function HelpDialogue(): VNode {
  return (
    <Modal title="Help">
      <p>
        An emulated computer runs in this page. Pick anything: a frame, a mapping, an object, an
        entry. Every view follows, and the chain on the right leads from the object in a Go or
        Python heap down to the frame, and back. The timeline below is the run: go forward, go back.
        A term with dots below it, or a question mark, is explained when pressed.
      </p>
      <table class="keys">
        <tbody>
          {KEYS.map((k) => (
            <tr key={k.keys}>
              <th scope="row">
                <kbd>{k.keys}</kbd>
              </th>
              <td>{k.what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}

/** A term's explanation, at the foot of the page; it takes no focus away. */
function TermNote(): VNode | null {
  const entry = glossary[explained.value];
  if (entry === undefined) return null;
  return (
    <aside class="term-note" role="note" aria-label="Explanation">
      <strong>{entry.name}</strong> {entry.text}{' '}
      {entry.source !== '' && <span class="faint">Source: {entry.source}</span>}
      <button type="button" class="button" onClick={() => (explained.value = '')}>
        Close
      </button>
    </aside>
  );
}
