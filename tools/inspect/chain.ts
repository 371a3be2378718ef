// The chain of a selection, the same whatever was selected:
//
//     object → slot or block → span or pool → arena → mapping → CR3 → PGD → PUD → PMD → PTE
//            → frame → struct page → what it is used for → zone          … or → swap slot
//
// From an address it goes down; from a frame or a slot the reverse map finds an address that leads
// there, and the chain is that address's. Each link can be selected in its turn.

import { NO_PFN, PAGE_SIZE, type Pfn } from '../../kernel/types.ts';
import { explain, kernelRegion, telling } from '../explain.ts';
import { pageInfo, walk, type Walk } from '../inspect.ts';
import { mappingsOf, ownerOf } from '../owner.ts';
import { useLinks } from './chain-frame.ts';
import { heapLinks } from './chain-heap.ts';
import { hexText, type ChainFact, type ChainLink } from './chain-parts.ts';
import { entryInfo, type EntryInfo } from './entry.ts';
import type { Selection } from './selection.ts';
import { processOf, type Subject, type SubjectProcess } from './subject.ts';
import { asideOf } from './python.ts';
import { slotInfo, slotUsers } from './swap.ts';

export interface Chain {
  readonly selection: Selection;
  /** The selection's place at each level; undefined or -1 where there is none. */
  readonly pid: number | undefined;
  readonly va: number | undefined;
  readonly pfn: number;
  readonly slot: number;
  readonly links: readonly ChainLink[];
  /** Other addresses that map the frame. */
  readonly alsoAt: readonly { pid: number; comm: string; va: number }[];
}

/** The whole chain of a selection. */
export function chainOf(subject: Subject, selection: Selection): Chain {
  if (selection.kind === 'address') {
    const p = processOf(subject, selection.pid);
    return p === undefined ? gone(selection) : fromAddress(subject, p, selection, selection.va);
  }
  if (selection.kind === 'slot') {
    const user = slotUsers(subject, selection.slot, 1)[0];
    const p = user === undefined ? undefined : processOf(subject, user.pid);
    if (user !== undefined && p !== undefined) return fromAddress(subject, p, selection, user.va);
    return { ...gone(selection), slot: selection.slot, links: swapLinks(subject, selection.slot) };
  }
  const { pfn, offset } = selection;
  const { pages } = subject.system.machine;
  if (pfn >= pages.nrFrames) return gone(selection);
  const mappings = mappingsOf(subject.system, pfn as Pfn);
  for (const { pid, va } of mappings) {
    const p = processOf(subject, pid);
    const at = va + offset;
    if (p !== undefined && walk(subject.system.machine.mem, p.task.mm.root, at).pfn === pfn) {
      return fromAddress(subject, p, selection, at);
    }
  }
  return {
    ...gone(selection),
    pfn,
    links: frameLinks(subject, pfn, offset),
  };
}

function gone(selection: Selection): Chain {
  return {
    selection,
    pid: undefined,
    va: undefined,
    pfn: -1,
    slot: -1,
    links: [],
    alsoAt: [],
  };
}

function fromAddress(subject: Subject, p: SubjectProcess, selection: Selection, va: number): Chain {
  const { mm, pid } = p.task;
  const found = explain(mm, va);
  const entries = found.walk.steps.map(entryInfo);
  const slot = entries.at(-1)?.slot ?? -1;
  const { pfn } = found.walk;
  const links: ChainLink[] = [...heapLinks(p, va), mappingLink(p, va), ...tableLinks(p, entries)];
  if (pfn !== NO_PFN) links.push(...frameLinks(subject, pfn, va & (PAGE_SIZE - 1), found.walk));
  else if (slot >= 0) links.push(...swapLinks(subject, slot));
  else links.push(nothingLink(found.mapping !== undefined));
  const others = pfn === NO_PFN ? [] : mappingsOf(subject.system, pfn);
  return {
    selection,
    pid,
    va,
    pfn,
    slot,
    links,
    alsoAt: others
      .filter((m) => m.pid !== pid || m.va !== va - (va & (PAGE_SIZE - 1)))
      .slice(0, 50),
  };
}

function mappingLink(p: SubjectProcess, va: number): ChainLink {
  const { mm, pid } = p.task;
  const { mapping } = explain(mm, va);
  const process: ChainFact = { label: 'process', value: `${p.name} (${pid})` };
  if (va < 0) {
    return {
      kind: 'vma',
      term: 'vma',
      title: 'kernel address',
      facts: [{ label: 'region', value: kernelRegion(va) }],
    };
  }
  if (mapping === undefined) {
    const value = 'none here: an access raises SIGSEGV (SEGV_MAPERR)';
    return {
      kind: 'vma',
      term: 'vma',
      title: 'no mapping',
      facts: [process, { label: '', value }],
    };
  }
  const facts: ChainFact[] = [
    process,
    { label: 'range', value: `${hexText(mapping.start)}–${hexText(mapping.end)}` },
    { label: 'access', value: `${mapping.perms}, ${mapping.what}` },
    { label: 'its page', value: `${mapping.page}` },
  ];
  if (mapping.filePage !== undefined) {
    facts.push({ label: 'file page', value: `${mapping.filePage}` });
  }
  if (mapping.notes.length > 0) facts.push({ label: 'notes', value: mapping.notes.join(', ') });
  return {
    kind: 'vma',
    term: 'vma',
    title: mapping.name === '' ? 'anonymous mapping' : mapping.name,
    facts,
    select: { kind: 'address', pid, va: mapping.start },
  };
}

function tableLinks(p: SubjectProcess, entries: readonly EntryInfo[]): ChainLink[] {
  const { root } = p.task.mm;
  const physical = (at: number): Selection => ({
    kind: 'frame',
    pfn: Math.floor(at / PAGE_SIZE),
    offset: at % PAGE_SIZE,
  });
  const cr3: ChainLink = {
    kind: 'cr3',
    term: 'cr3',
    title: `CR3 ${hexText(root * PAGE_SIZE)}`,
    facts: [],
    select: { kind: 'frame', pfn: root, offset: 0 },
  };
  const rows = entries.map((entry): ChainLink => {
    const facts = entry.says === '' ? [] : [{ label: '', value: entry.says }];
    return {
      kind: 'entry',
      term: 'pte',
      title: `${entry.level}[${entry.index}]`,
      facts,
      select: physical(entry.physical),
      entry,
    };
  });
  return [cr3, ...rows];
}

function frameLinks(subject: Subject, pfn: number, offset: number, walked?: Walk): ChainLink[] {
  const { pages } = subject.system.machine;
  const owner = ownerOf(subject.system, pfn, offset);
  const select: Selection = { kind: 'frame', pfn, offset };
  const facts: ChainFact[] = [
    { label: 'byte at', value: `${hexText(pfn * PAGE_SIZE + offset)} (physical)` },
    { label: 'used for', value: owner.text },
  ];
  if (walked !== undefined && walked.size > PAGE_SIZE) {
    facts.push({ label: 'part of', value: `a page of ${walked.size / 2 ** 20} MiB` });
  }
  const frame: ChainLink = {
    kind: 'frame',
    term: 'frame',
    title: `frame ${hexText(pfn)}`,
    facts,
    select,
  };
  if (owner.use === 'nothing') return [frame];
  const info = pageInfo(pages, pfn);
  const page: ChainLink = {
    kind: 'page',
    term: 'struct-page',
    title: 'struct page',
    facts: [
      { label: 'flags', value: info.flags.length === 0 ? 'none' : info.flags.join(' ') },
      { label: 'references', value: `${info.refcount}, mapped ${info.mapcount} times` },
    ],
  };
  return [frame, page, ...useLinks(subject, pfn, owner)];
}

function swapLinks(subject: Subject, slot: number): ChainLink[] {
  const info = slotInfo(subject, slot);
  if (info === undefined) return [];
  const facts: ChainFact[] = [
    { label: 'entries', value: `${info.references} refer to it` },
    { label: 'content', value: info.preview },
  ];
  if (info.cached >= 0) {
    const value = `frame ${hexText(info.cached)}`;
    const select: Selection = { kind: 'frame', pfn: info.cached, offset: 0 };
    facts.push({ label: 'swap cache', value, select });
  }
  return [
    {
      kind: 'swap',
      term: 'swap',
      title: `swap slot ${slot}`,
      facts,
      select: { kind: 'slot', slot },
    },
  ];
}

function nothingLink(isMapped: boolean): ChainLink {
  return {
    kind: 'nothing',
    term: 'fault',
    title: 'no frame',
    facts: [
      {
        label: '',
        value: isMapped
          ? 'never touched, or given back: the next access takes a page fault'
          : 'nothing is promised here',
      },
    ],
  };
}

/** What to show first of a process: an object of its heap, or a page that it wrote. */
export function tellingOf(subject: Subject, pid: number): Selection | undefined {
  const p = processOf(subject, pid) ?? subject.processes[0];
  if (p === undefined) return undefined;
  const { mm } = p.task;
  const va = heapSample(p) ?? telling(mm);
  return va === undefined ? undefined : { kind: 'address', pid: p.task.pid, va };
}

/** The first object of a small span, or of a pool, that is in use. */
function heapSample(p: SubjectProcess): number | undefined {
  if (p.heap?.runtime === 'go') {
    const { go } = p.heap;
    const { spans } = go.heap;
    for (let s = spans.count - 1; s > 0; s--) {
      const isSmall = (spans.spanclass[s] ?? 0) > 1 && ((spans.spanclass[s] ?? 1) & 1) === 0;
      if (spans.state[s] === 1 && isSmall && (spans.allocCount[s] ?? 0) > 0) {
        const first = go.sys.addressOf(spans.start[s] ?? 0);
        return first + (spans.elemsize[s] ?? 0) * Math.floor((spans.freeindex[s] ?? 0) / 2);
      }
    }
  }
  if (p.heap?.runtime === 'python') {
    return asideOf(p, ({ gc }) => {
      let last: number | undefined;
      for (let g = 0; g <= 2 && last === undefined; g++) {
        const head = gc.head(g);
        const first = gc.lists.next(head);
        if (first !== head) last = gc.lists.prev(head) + 16;
      }
      return last;
    });
  }
  return undefined;
}
