// The chain of the selection: each link a card, from the object at the top down to the zone.

import type { VNode } from 'preact';
import type { Chain } from '../../inspect/chain.ts';
import type { ChainLink } from '../../inspect/chain-parts.ts';
import type { EntryInfo } from '../../inspect/entry.ts';
import { hex } from '../format.ts';
import { chain, select, selection, show } from '../model.ts';
import { Term } from './term.tsx';
import { WhyPart } from './why.tsx';

const KIND_NAMES: Readonly<Record<string, string>> = {
  object: 'object',
  block: 'block',
  span: 'span',
  pool: 'pool',
  arena: 'arena',
  vma: 'mapping',
  cr3: 'top table',
  entry: 'entry',
  frame: 'frame',
  page: 'record',
  zone: 'zone',
  free: 'free list',
  slab: 'slab',
  cache: 'page cache',
  lru: 'reclaim',
  swap: 'swap',
  nothing: 'frame',
};

export function ChainPanel(): VNode {
  const found = chain.value;
  return (
    <div class="chain">
      <header class="chain-head">
        <h2>Chain</h2>
        <span class="mono soft" data-testid="chain-selection">
          {found === undefined ? 'nothing selected' : selectionTitle(found)}
        </span>
        <AddressForm />
      </header>
      {found !== undefined && <Links found={found} />}
    </div>
  );
}

function Links(props: { found: Chain }): VNode {
  const { found } = props;
  return (
    <>
      <ol class="links" data-testid="chain">
        {found.links.map((link, i) => (
          <Link key={`${link.kind}${i}`} link={link} />
        ))}
        {found.links.length === 0 && (
          <li class="link faint">Nothing is there at this point of the run.</li>
        )}
      </ol>
      <WhyPart found={found} />
      {found.alsoAt.length > 0 && (
        <section class="also">
          <h3>Also mapped at</h3>
          <ul>
            {found.alsoAt.map((m) => (
              <li key={`${m.pid}:${m.va}`}>
                <button
                  type="button"
                  class="goto mono"
                  onClick={() => select({ kind: 'address', pid: m.pid, va: m.va })}
                >
                  {hex(m.va)}
                </button>{' '}
                {m.comm} ({m.pid})
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function selectionTitle(found: Chain): string {
  const { selection: s } = found;
  if (s.kind === 'slot') return `swap slot ${s.slot}`;
  if (s.kind === 'frame') return `physical ${hex(s.pfn * 4096 + s.offset)}`;
  return `${hex(s.va)} in process ${s.pid}`;
}

function Link(props: { link: ChainLink }): VNode {
  const { link } = props;
  const to = link.select;
  return (
    <li class={`link link-${link.kind}`} data-kind={link.kind}>
      <span class="link-kind">
        <Term id={link.term}>{KIND_NAMES[link.kind] ?? link.kind}</Term>
      </span>
      <div class="link-body">
        {to === undefined ? (
          <span class="link-title">{link.title}</span>
        ) : (
          <button type="button" class="link-title goto" onClick={() => select(to)}>
            {link.title}
          </button>
        )}
        {link.entry !== undefined && (
          <>
            <span class="faint mono entry-at">at {hex(link.entry.physical)}</span>
            <EntryBits entry={link.entry} />
          </>
        )}
        {link.facts.length > 0 && (
          <dl class="facts">
            {link.facts.map((fact, i) => (
              <div key={i}>
                <dt>{fact.label}</dt>
                <dd>
                  {fact.select === undefined ? (
                    fact.value
                  ) : (
                    <button type="button" class="goto" onClick={() => select(fact.select)}>
                      {fact.value}
                    </button>
                  )}
                </dd>
              </div>
            ))}
          </dl>
        )}
      </div>
    </li>
  );
}

/** The raw entry, and its bits: those that are set stand out. */
function EntryBits(props: { entry: EntryInfo }): VNode {
  const { entry } = props;
  return (
    <div class="entry">
      <code>{entry.hex}</code>
      {entry.bits.length > 0 && (
        <span class="bits">
          {entry.bits
            .filter((b) => b.on || b.name.length <= 2)
            .map((b) => (
              <span key={b.name} class={b.on ? 'bit on' : 'bit'} title={b.meaning}>
                {b.name}
                <span class="hidden">{b.on ? ' set' : ' clear'}</span>
              </span>
            ))}
        </span>
      )}
    </div>
  );
}

/** Goes to an address that is typed: virtual, or physical with `p:`. */
function AddressForm(): VNode {
  return (
    <form
      class="address-form"
      onSubmit={(e) => {
        e.preventDefault();
        const input = new FormData(e.currentTarget).get('address');
        go(typeof input === 'string' ? input.trim() : '');
      }}
    >
      <input
        name="address"
        id="address"
        class="mono"
        aria-label="Address to select: hexadecimal, p: before it for a physical one"
        placeholder="0x… or p:0x…"
        spellcheck={false}
        autocomplete="off"
      />
      <button type="submit" class="button">
        go
      </button>
      <button type="button" class="button" onClick={() => show('bytes')}>
        bytes
      </button>
    </form>
  );
}

function go(text: string): void {
  const m = /^(p:)?(?:0x)?([0-9a-f]{1,12})$/i.exec(text);
  if (m === null) return;
  const at = parseInt(m[2] ?? '', 16);
  const now = selection.value;
  const pid = chain.value?.pid ?? (now?.kind === 'address' ? now.pid : undefined);
  if (m[1] !== undefined || pid === undefined) {
    select({ kind: 'frame', pfn: Math.floor(at / 4096), offset: at % 4096 });
  } else select({ kind: 'address', pid, va: at });
}
