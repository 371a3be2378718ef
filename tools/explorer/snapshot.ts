// A view's snapshot of the machine: asked for when the machine or the question has changed.
//
// One question at a time: while one is under way the newest waits, those between are dropped. Until
// the new one comes the old one is shown.

import { signal, type Signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { InspectionArgs, InspectionName, InspectionResult } from '../inspect/index.ts';
import { ask, failure, status } from './model.ts';

/** The latest answer; undefined until the first. The question is asked again with each version. */
export function useSnapshot<K extends InspectionName>(
  name: K,
  args: InspectionArgs<K>,
  wanted = true,
): InspectionResult<K> | undefined {
  const slot = useMemo(() => new Slot<K>(name), [name]);
  const version = status.value?.version;
  const key = JSON.stringify(args);
  useEffect(() => {
    if (wanted && version !== undefined) slot.ask(args);
  }, [slot, version, key, wanted]);
  return slot.answer.value;
}

class Slot<K extends InspectionName> {
  readonly answer: Signal<InspectionResult<K> | undefined> = signal(undefined);
  private readonly name: K;
  private waiting: InspectionArgs<K> | undefined;
  private isAsking = false;

  constructor(name: K) {
    this.name = name;
  }

  ask(args: InspectionArgs<K>): void {
    this.waiting = args;
    if (!this.isAsking) void this.run();
  }

  private async run(): Promise<void> {
    this.isAsking = true;
    try {
      while (this.waiting !== undefined) {
        const args = this.waiting;
        this.waiting = undefined;
        this.answer.value = await ask(this.name, args);
      }
    } catch (e) {
      failure.value = e instanceof Error ? e.message : String(e);
    } finally {
      this.isAsking = false;
    }
  }
}
