// Traces for Perfetto: read back field by field, they hold the session's steps, events, counters
// and flows. Where the PyPI package `perfetto` is installed, its own schema reads them too.

import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { mm_page_alloc, mm_page_free, TRACEPOINTS } from '../../kernel/trace.ts';
import { Message } from '../../tools/perfetto/protobuf.ts';
import { perfettoTrace } from '../../tools/perfetto/trace.ts';
import { openSession } from '../../tools/session/open.ts';

const SCENARIO = `a = mmap(NULL, 16K, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)
poke(a, 1)
store(a + 4K)
munmap(a, 16K)
`;

type Fields = Map<number, (bigint | Uint8Array)[]>;

/** A message's fields by number, read by the encoding's rules alone. */
function read(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const values = fields.get(tag >>> 3) ?? [];
    fields.set(tag >>> 3, values);
    if ((tag & 7) === 0) values.push(varint());
    else if ((tag & 7) === 1) {
      values.push(new DataView(bytes.buffer, bytes.byteOffset + at).getBigUint64(0, true));
      at += 8;
    } else {
      expect(tag & 7).toBe(2);
      const length = Number(varint());
      values.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
  expect(at).toBe(bytes.length);
  return fields;
}

const inner = (fields: Fields, n: number): Fields | undefined => {
  const value = fields.get(n)?.[0];
  return value === undefined ? undefined : read(value as Uint8Array);
};
const text = (v: unknown): string => new TextDecoder().decode(v as Uint8Array);

test.each([0, 1, 127, 128, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1, -1, -(2 ** 40), -(2 ** 53) + 1])(
  'the integer %d comes back',
  (value) => {
    const [got] = read(new Message().int(3, value).bytes).get(3)!;
    expect(BigInt.asIntN(64, got as bigint)).toBe(BigInt(value));
    if (value >= 0) {
      expect(read(new Message().fixed64(47, value).bytes).get(47)).toEqual([BigInt(value)]);
    }
  },
);

test('steps, events, counters and flows are those of the session', async () => {
  const session = await openSession('a.scn', new TextEncoder().encode(SCENARIO));
  session.run();
  const { bytes, summary } = perfettoTrace(session);
  const packets = read(bytes)
    .get(1)!
    .map((p) => read(p as Uint8Array));
  const events = packets.map((p) => inner(p, 11)).filter((e) => e !== undefined);
  const typed = (type: bigint): Fields[] => events.filter((e) => e.get(9)![0] === type);

  expect(typed(1n).map((e) => text(e.get(23)![0]))).toEqual(SCENARIO.trim().split('\n'));
  expect(typed(2n)).toHaveLength(4);
  const names = typed(3n).map((e) => TRACEPOINTS[Number(e.get(10)![0]) - 1].name);
  const wanted = session.events.range(0, 99, 1e6).map((e) => e.name);
  expect(names).toEqual(wanted);
  expect(summary).toMatchObject({ steps: 4, events: wanted.length, dropped: 0 });

  const times = packets.filter((p) => p.has(8)).map((p) => p.get(8)![0] as bigint);
  expect(times.every((t, i) => i === 0 || t >= times[i - 1])).toBe(true);
  const resident = typed(4n).filter((e) => e.get(11)![0] === 16n);
  expect(resident.map((e) => Number(e.get(30)![0])).at(-1)).toBe(
    session.counters.column('resident').at(-1),
  );
  flowsAreFrames(typed(3n));
});

/** Each allocation starts a flow of its own; each freeing of such a frame ends its flow. */
function flowsAreFrames(instants: readonly Fields[]): void {
  const point = (e: Fields): number => Number(e.get(10)![0]) - 1;
  const started = instants.filter((e) => point(e) === mm_page_alloc).map((e) => e.get(47)![0]);
  expect(new Set(started).size).toBe(started.length);
  const ended = instants.filter((e) => point(e) === mm_page_free).map((e) => e.get(48)?.[0]);
  const known = ended.filter((flow) => flow !== undefined);
  expect(known.length).toBeGreaterThan(1);
  for (const flow of known) expect(started).toContain(flow);
}

const python = process.env['PAGEWALK_PYTHON'] ?? 'python3';
const schema = 'from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb';
const hasSchema = spawnSync(python, ['-c', schema]).status === 0;
if (!hasSchema) console.warn("skipped: Perfetto's own schema (pip install perfetto)");

test.skipIf(!hasSchema)("Perfetto's schema knows every field", async () => {
  const session = await openSession('a.scn', new TextEncoder().encode(SCENARIO));
  session.run();
  const { bytes, summary } = perfettoTrace(session);
  const script = `${schema}
import sys
from google.protobuf.unknown_fields import UnknownFieldSet
def unknown(m):
    n = len(UnknownFieldSet(m))
    for f, v in m.ListFields():
        if f.type == f.TYPE_MESSAGE:
            for x in ([v] if hasattr(v, 'ListFields') else v): n += unknown(x)
    return n
trace = pb.Trace()
trace.ParseFromString(sys.stdin.buffer.read())
kinds = [p.track_event.type for p in trace.packet if p.HasField('track_event')]
print(unknown(trace), kinds.count(1), kinds.count(3))`;
  const out = execFileSync(python, ['-c', script], { input: bytes, encoding: 'utf8' });
  expect(out.trim()).toBe(`0 ${summary.steps} ${summary.events}`);
});
