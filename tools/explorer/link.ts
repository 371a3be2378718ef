// The link that reopens what is seen: #open=SOURCE&at=STEP&view=NAME&sel=SELECTION.

import { parseSelection, selectionText, type Selection } from '../inspect/selection.ts';

export interface Link {
  readonly open: string | undefined;
  readonly at: number | undefined;
  readonly view: string | undefined;
  readonly selection: Selection | undefined;
}

export function parseLink(hash: string): Link {
  const query = new URLSearchParams(hash.replace(/^#/, ''));
  const at = query.get('at');
  return {
    open: query.get('open') ?? undefined,
    at: at !== null && /^\d{1,10}$/.test(at) ? Number(at) : undefined,
    view: query.get('view') ?? undefined,
    selection: parseSelection(query.get('sel') ?? ''),
  };
}

export function linkText(link: Link): string {
  const parts: string[] = [];
  if (link.open !== undefined) parts.push(`open=${encodeURIComponent(link.open)}`);
  if (link.at !== undefined) parts.push(`at=${link.at}`);
  if (link.view !== undefined) parts.push(`view=${link.view}`);
  if (link.selection !== undefined) parts.push(`sel=${selectionText(link.selection)}`);
  return `#${parts.join('&')}`;
}
