// Saved machines: the whole state of a machine in a file, with its version and a checksum.
//
//     pagewalk-machine 1\n
//     {"config": …, "heaps": …, "hash": …, "bytes": [graph, data], "checksum": "…"}\n
//     gzip of: the graph as JSON, then the bytes of its buffers
//
// The checksum is over the header without it and over the packed bytes, so whatever is damaged is
// found before anything is made of it. A machine is read back before its file is handed out: what
// cannot be read again is not saved. Isomorphic, as sessions are.

import { InputError } from '../../kernel/errors.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import { findGoProfile, goProfiles } from '../../runtime/go/profile.ts';
import { GoRuntime } from '../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import { type ProfileName, profiles } from '../../runtime/python/profile.ts';
import { PythonRuntime } from '../../runtime/python/runtime.ts';
import { System, type SystemConfig } from '../../userspace/system.ts';
import { DYNAMIC_CLASSES } from './classes.ts';
import { type Buffer, constantObjects, type Graph, type GraphOptions } from './graph.ts';
import { type Node, readGraph, type Value, writeGraph } from './graph.ts';
import { checksum, hashSystem } from './hash.ts';
import type { SessionHeap, SessionProcess, Source } from './source.ts';

const MAGIC = 'pagewalk-machine';
const VERSION = 1;
const SHAPE = `a file that begins with "${MAGIC} ${VERSION}"`;

/** What it takes to make a machine of the same make as a saved one. */
interface Make {
  readonly config: SystemConfig;
  /** Memory groups were in use. */
  readonly groups: boolean;
  /** The runtime in each of the processes, in order. */
  readonly heaps: readonly (HeapHeader | null)[];
}

interface Header extends Make {
  /** Where the machine came from, for people: `rand-swap.scn after 12 steps`. */
  readonly of: string;
  readonly hash: string;
  readonly bytes: readonly [graph: number, data: number];
  readonly checksum: string;
}

interface HeapHeader {
  readonly runtime: 'go' | 'python';
  readonly profile: string;
  readonly procs: number;
}

/** What is saved: everything hangs off these. */
export interface Roots {
  readonly processes: readonly SessionProcess[];
  readonly system: System;
}

/** A machine's whole state, in memory. */
export interface MachineState {
  readonly make: Make;
  readonly graph: Graph;
}

/** The two parts of a graph that are JSON. */
interface GraphText {
  readonly root: Value;
  readonly nodes: readonly Node[];
  readonly buffers: readonly Buffer[];
}

/** True where a file's first bytes say that it is a saved machine, of whatever version. */
export function isSavedMachine(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) === MAGIC;
}

/**
 * The bytes of a file that holds the machine.
 * @param of where it came from, for people
 * @throws InputError where it holds what cannot be saved (a policy that is a function of its own)
 */
export async function saveMachine(roots: Roots, of: string): Promise<Uint8Array> {
  const { make, graph } = stateOf(roots);
  const { data, ...text } = graph;
  const json = new TextEncoder().encode(JSON.stringify(text));
  const plain = new Uint8Array(json.length + data.length);
  plain.set(json);
  plain.set(data, json.length);
  const packed = await gzip(plain);
  const header: Omit<Header, 'checksum'> = {
    of,
    ...make,
    hash: hashSystem(roots.system),
    bytes: [json.length, data.length],
  };
  const sum = checksum([new TextEncoder().encode(JSON.stringify(header)), packed]);
  const first = `${MAGIC} ${VERSION}\n${JSON.stringify({ ...header, checksum: sum })}\n`;
  const head = new TextEncoder().encode(first);
  const file = new Uint8Array(head.length + packed.length);
  file.set(head);
  file.set(packed, head.length);
  restore({ ...header, checksum: sum }, graph, of);
  return file;
}

/**
 * The whole state of a machine as data.
 * @throws InputError where it holds what cannot be saved (a policy that is a function of its own)
 */
export function stateOf({ system, processes }: Roots): MachineState {
  const { machine, config } = system;
  if (config.replacement !== undefined || config.prng !== undefined) {
    throw new InputError('', 'a machine with a replacement policy of its own cannot be saved');
  }
  const root = { processes: processes.map((p) => ({ ...p, heap: dataOf(p.heap) })), system };
  const heaps = processes.map(({ heap }) => heapHeader(heap));
  const make = { config, groups: machine.groups !== null, heaps };
  return { make, graph: writeGraph(root, options(system)) };
}

/** A machine in that state, with everything anew: what is done to it does not touch the state. */
export function restoreState({ make, graph }: MachineState): Roots {
  const system = new System(make.config);
  if (make.groups) system.machine.useGroups();
  const processes = make.heaps.map((heap) => templateProcess(system, heap));
  return readGraph(graph, { processes, system }, options(system)) as Roots;
}

/**
 * A saved machine as a session's source: no steps, the same machine each time.
 * @throws InputError where the file is damaged, of another version, or no saved machine
 */
export async function machineSource(name: string, bytes: Uint8Array): Promise<Source> {
  const { header, packed } = readHeader(name, bytes);
  const plain = await gunzip(name, packed);
  const [length, dataLength] = header.bytes;
  if (plain.length !== length + dataLength) {
    throw new InputError(name, `the saved machine is damaged: ${plain.length} bytes unpacked`);
  }
  const text = JSON.parse(new TextDecoder().decode(plain.subarray(0, length))) as GraphText;
  const graph: Graph = { ...text, data: plain.subarray(length) };
  restore(header, graph, name);
  return {
    kind: 'machine',
    name: header.of,
    length: 0,
    lines: 0,
    lineOf: () => 0,
    label: () => '',
    start: () => {
      const { system, processes } = restore(header, graph, name);
      return {
        system,
        processes: () => processes.filter((p) => p.task.alive),
        done: true,
        step: () => '',
      };
    },
  };
}

function readHeader(name: string, bytes: Uint8Array): { header: Header; packed: Uint8Array } {
  const first = bytes.indexOf(10);
  const second = first < 0 ? -1 : bytes.indexOf(10, first + 1);
  const line = new TextDecoder().decode(bytes.subarray(0, Math.min(first < 0 ? 64 : first, 64)));
  const version = new RegExp(`^${MAGIC} (\\d+)$`).exec(line)?.[1];
  if (version === undefined)
    throw new InputError(`${name}:1`, `not a saved machine: expected ${SHAPE}`);
  if (version !== String(VERSION)) {
    throw new InputError(`${name}:1`, `saved with format ${version}: format ${VERSION} is known`);
  }
  const damaged = new InputError(
    `${name}:2`,
    'the saved machine is damaged: its checksum is wrong',
  );
  if (second < 0) throw new InputError(`${name}:2`, 'the saved machine is cut short');
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(first + 1, second))) as Header;
  } catch {
    throw damaged;
  }
  const packed = bytes.subarray(second + 1);
  const { checksum: sum, ...rest } = header;
  const ours = checksum([new TextEncoder().encode(JSON.stringify(rest)), packed]);
  if (sum !== ours) throw damaged;
  return { header, packed };
}

/** Makes the machine that a header describes, and reads the graph into it. */
function restore(header: Header, graph: Graph, name: string): Roots {
  const read = restoreState({ make: header, graph });
  const hash = hashSystem(read.system);
  if (hash !== header.hash) {
    const why = `the machine does not come back as it was (hash ${hash}, not ${header.hash})`;
    throw new InputError(name, `${why}: it was saved by another version of pagewalk`);
  }
  return read;
}

/** A process of the same make as the saved one: its runtime's objects, wired. */
function templateProcess(system: System, heap: HeapHeader | null): SessionProcess {
  const task = newProcess(system, 'saved');
  if (heap === null) return { id: 0, name: '', task, heap: undefined };
  const memory = new ProcessMemory(system, task);
  if (heap.runtime === 'go') {
    const profile = findGoProfile(heap.profile);
    if (profile === undefined) throw new InputError('', `no profile ${heap.profile} of Go`);
    const go = new GoRuntime(memory, { profile, procs: heap.procs });
    return { id: 0, name: '', task, heap: { runtime: 'go', go } };
  }
  const py = new PythonRuntime(memory, heap.profile as ProfileName);
  return { id: 0, name: '', task, heap: { runtime: 'python', py } };
}

/** A heap without what the running program held: see graph.ts. */
function dataOf(heap: SessionHeap | undefined): SessionHeap | undefined {
  return heap?.runtime === 'python' ? { runtime: 'python', py: heap.py } : heap;
}

function heapHeader(heap: SessionHeap | undefined): HeapHeader | null {
  if (heap === undefined) return null;
  if (heap.runtime === 'python') {
    return { runtime: 'python', profile: heap.py.profile.name, procs: 1 };
  }
  return {
    runtime: 'go',
    profile: heap.go.profile.name,
    procs: heap.go.procs.length,
  };
}

function options(system: System): GraphOptions {
  const { mem } = system.machine;
  const used = (mem.touchedFrames + 1) * PAGE_SIZE;
  return {
    constants: constantObjects([goProfiles, profiles]),
    classes: DYNAMIC_CLASSES,
    used: (buffer) => (buffer === mem.words.buffer ? used : buffer.byteLength),
  };
}

async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  return await through(bytes, new CompressionStream('gzip'));
}

async function gunzip(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await through(bytes, new DecompressionStream('gzip'));
  } catch {
    throw new InputError(name, 'the saved machine is damaged: it cannot be unpacked');
  }
}

async function through(
  bytes: Uint8Array,
  transform: CompressionStream | DecompressionStream,
): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
