// Bytes of memory in hexadecimal, with the structure that lies there.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { hex } from '../format.ts';
import { chain, pid, select } from '../model.ts';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';

const ROWS = 48;
const PAGE = 4096;

export function BytesView(): VNode {
  const physical = useSignal(false);
  const start = useSignal(0);
  const found = chain.value;
  const isPhysical = physical.value || found?.va === undefined;
  const owner = found?.pid ?? pid.value;
  const offset = found === undefined ? 0 : offsetOf(found);
  const at = isPhysical ? (found?.pfn ?? 0) * PAGE + offset : found.va;
  // the selection stays in sight; elsewhere the page that was scrolled to
  useEffect(() => {
    const isSeen = at >= start.value && at < start.value + ROWS * 16;
    if (!isSeen) start.value = Math.max(0, at - (at % 256));
  }, [at, isPhysical]);
  const rows = useSnapshot('bytes', [isPhysical ? 0 : owner, start.value, ROWS]);
  const go = (to: number): void => {
    if (isPhysical) select({ kind: 'frame', pfn: Math.floor(to / PAGE), offset: to % PAGE });
    else select({ kind: 'address', pid: owner, va: to });
  };
  const page = (by: number): void => {
    start.value = Math.max(0, start.value + by * ROWS * 16);
  };
  return (
    <div class="view">
      <ViewHead title="Bytes" term="bytes">
        <span class="choice" role="group" aria-label="Addresses">
          <button
            type="button"
            class="button"
            aria-pressed={!isPhysical}
            disabled={found?.va === undefined}
            onClick={() => (physical.value = false)}
          >
            virtual
          </button>
          <button
            type="button"
            class="button"
            aria-pressed={isPhysical}
            onClick={() => (physical.value = true)}
          >
            physical
          </button>
          <button type="button" class="button" onClick={() => page(-1)}>
            earlier
          </button>
          <button type="button" class="button" onClick={() => page(1)}>
            later
          </button>
        </span>
      </ViewHead>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Bytes, 16 a row">
        <table class="table hexdump mono">
          <thead>
            <tr>
              <th scope="col">{isPhysical ? 'physical' : 'virtual'}</th>
              <th scope="col">
                {[...Array(16).keys()].map((i) => (
                  <span key={i} class="hex-head">
                    {i.toString(16).padStart(2, '0')}
                  </span>
                ))}
              </th>
              <th scope="col">text</th>
              <th scope="col">what lies there</th>
            </tr>
          </thead>
          <tbody>
            {rows?.map((row) => {
              const isHere = at >= row.at && at < row.at + 16;
              return (
                <tr key={row.at} aria-current={isHere ? 'true' : undefined}>
                  <th scope="row">
                    <button type="button" class="goto" onClick={() => go(row.at)}>
                      {hex(row.at)}
                    </button>
                  </th>
                  <td class="hex-bytes">
                    {row.bytes.map((b, i) => (
                      <span
                        key={i}
                        class={row.at + i === at ? 'byte here' : b === 0 ? 'byte zero' : 'byte'}
                      >
                        {b < 0 ? '··' : b.toString(16).padStart(2, '0')}
                      </span>
                    ))}
                  </td>
                  <td class="hex-text">
                    {row.bytes
                      .map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '·'))
                      .join('')}
                  </td>
                  <td class="hex-note">{row.note}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** The byte of the frame that is selected. */
function offsetOf(found: NonNullable<typeof chain.value>): number {
  const { selection: s } = found;
  if (s.kind === 'frame') return s.offset;
  return s.kind === 'address' ? ((s.va % PAGE) + PAGE) % PAGE : 0;
}
