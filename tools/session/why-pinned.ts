// "Who pins it", as a chain of causes: the place that an address lies in, the blocks that hold it
// with the way to each from a root, and what would be free without each root.

import { hex } from '../../kernel/types.ts';
import { inspect } from '../inspect/index.ts';
import type { Pin } from '../inspect/pins/pin.ts';
import { pinText, rootLines } from '../pins-text.ts';
import type { Session } from './session.ts';
import { Chain, type CauseSubject, type Why } from './why.ts';

/** @param pid the process whose heap it is; 0: the address is physical */
export function whyPinned(session: Session, pid: number, address: number): Why {
  const { pins } = inspect(session, 'pinsAt', [pid, address]);
  const question = `who pins what lies at ${hex(address)}?`;
  if (pins.length === 0) {
    return { question, answer: 'Nothing does: no place in use lies there.', causes: [] };
  }
  const chain = new Chain(session);
  for (const pin of pins) tell(chain, pid, pin);
  const answer = pins.map((pin) => pinText(pin)[0] ?? '').join('; ');
  return { question, answer: `It lies in ${answer}.`, causes: chain.causes };
}

function tell(chain: Chain, pid: number, pin: Pin): void {
  const about = (va: number): CauseSubject | undefined =>
    pin.kind === 'slab' || pin.kind === 'block of frames'
      ? { kind: 'frame', pfn: Math.floor(va / 4096) }
      : { kind: 'address', pid, va };
  chain.now(
    `the ${pin.kind} at ${hex(pin.address)}, ${pin.blocks} blocks in use`,
    about(pin.address),
  );
  for (const { address, bytes, what, path } of pin.holders) {
    const way = path.length === 0 ? '' : `: ${path.join(' → ')}`;
    chain.now(`${hex(address)}, ${bytes} bytes, ${what}${way}`, about(address));
  }
  for (const line of rootLines(pin)) chain.now(line);
}
