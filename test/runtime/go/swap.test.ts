// A heap larger than the memory that its process may have: what the kernel takes away comes back.
import { expect, test } from 'vitest';
import { NO_POINTERS } from '../../../runtime/go/types.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../../runtime/process-memory.ts';
import { fsckSystem } from '../../../userspace/fsck.ts';
import { addSwap } from '../../../userspace/swap.ts';
import { System } from '../../../userspace/system.ts';

const MIB = 2 ** 20;

test('objects keep what was stored in them under a limit of half their size', () => {
  const system = new System({ ram: 253 * MIB });
  addSwap(system, 253 * MIB);
  const task = newProcess(system, 'go');
  task.mm.group = system.newGroup('/go', 3 * MIB);
  const memory = new ProcessMemory(system, task);
  const go = new GoRuntime(memory, { gcPercent: 100 });
  const node = go.types.leading(64, 1);
  const root = go.newGlobal();
  const count = 60_000;
  // A list of nodes: a pointer, and the node's number in its second word.
  for (let i = 0; i < count; i++) {
    const at = go.new(64, node);
    go.storePointer(at, go.loadPointer(root));
    memory.store64(at + 8, i);
    go.storePointer(root, at);
    go.new(48, NO_POINTERS);
  }
  go.collect();
  let at = go.loadPointer(root);
  for (let i = count - 1; i >= 0; i--) {
    if (memory.load64(at + 8) !== i) expect.fail(`node ${i} holds ${memory.load64(at + 8)}`);
    at = go.loadPointer(at);
  }
  expect(at).toBe(0);
  expect(go.gc.numGc).toBeGreaterThan(1);
  expect(task.majflt).toBeGreaterThan(1000);
  fsckSystem(system);
});
