// Swap with a compressed pool in front of it: the compressor that the kernel's zswap asks for.
//
// Deflate at its fastest setting, by fflate: the same in Node and in a page. Linux has it as the
// crypto API's `deflate` (zswap.compressor=deflate).

import { deflateSync, inflateSync } from 'fflate';
import { InputError } from '../kernel/errors.ts';
import type { PageCompressor } from '../kernel/ports.ts';
import { Swap, addSwap } from '../userspace/swap.ts';
import type { System } from '../userspace/system.ts';

/** Compresses the true bytes of a page. */
export const deflate: PageCompressor = {
  name: 'deflate',
  compress: (page) => deflateSync(page, { level: 1 }),
  decompress: (packed, page) => void inflateSync(packed, { out: page }),
};

/** Switches swap on. @param zswap with the compressed pool in front, a fifth of RAM at most. */
export function configureSwap(system: System, bytes: number, zswap: boolean): void {
  if (bytes > 0) addSwap(system, bytes);
  else if (zswap) throw new InputError('', '--zswap: needs swap that it stands in front of');
  if (zswap && system.swap instanceof Swap) system.swap.usePool({ compressor: deflate });
}
