// A queueing simulation with many small objects: customers, events, counters, a log of finished
// visits.

import { type Heap, type Ref, newRandom31 } from '../heap.ts';

const MAX_ITEMS = 6;

export function simulation(h: Heap, scale: number): undefined {
  h.imports('heapq');
  const numbers = h.list('int');
  const refs = h.list('ref');
  const event = h.record(
    'Event',
    { time: 'float', order: 'int', action: 'ref', customer: 'ref' },
    { slots: true },
  );
  const visits = Array.from({ length: MAX_ITEMS + 1 }, (_, n) =>
    h.tuple(...Array.from({ length: n }, () => 'int' as const)),
  );
  const counter = h.record('Counter', { name: 'string', queue: refs, busy: 'ref', served: 'int' });
  const notesType = h.map('string', 'ref');
  const customer = h.record('Customer', {
    number: 'int',
    arrived: 'float',
    started: 'float',
    items: numbers,
    notes: notesType,
  });
  const finishedVisit = h.tuple('int', 'float', 'ref');

  /** Whether event a comes before event b. */
  const isBefore = (a: Ref, b: Ref): boolean => {
    const [x, y] = [event.fields.time.get(a), event.fields.time.get(b)];
    return x < y || (x === y && event.fields.order.get(a) < event.fields.order.get(b));
  };
  const swap = (heap: Ref, i: number, k: number): void => {
    h.scope(() => {
      const [a, b] = [refs.get(heap, i), refs.get(heap, k)];
      refs.set(heap, i, b);
      refs.set(heap, k, a);
    });
  };
  const before = (heap: Ref, i: number, k: number): boolean =>
    h.scope(() => isBefore(refs.get(heap, i), refs.get(heap, k)));

  /** heapq.heappush() */
  const push = (heap: Ref, item: Ref): void => {
    refs.push(heap, item);
    for (let i = refs.length(heap) - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!before(heap, i, parent)) return;
      swap(heap, i, parent);
      i = parent;
    }
  };
  /** heapq.heappop() */
  const pop = (heap: Ref): Ref =>
    h.call(() => {
      const last = refs.pop(heap);
      const n = refs.length(heap);
      if (n === 0) return last;
      const first = refs.get(heap, 0);
      refs.set(heap, 0, last);
      for (let i = 0; ;) {
        let child = 2 * i + 1;
        if (child >= n) return first;
        if (child + 1 < n && before(heap, child + 1, child)) child++;
        if (!before(heap, child, i)) return first;
        swap(heap, i, child);
        i = child;
      }
    });

  const run = (seed: number, customers: number): void => {
    const random = newRandom31(seed);
    const counters = refs.make();
    h.loop(6, (i) => {
      const name = h.concat(h.string('c'), h.digits(i));
      refs.push(counters, counter.make(name, refs.make(), 0, 0));
    });
    const shop = h.record('Shop', { counters: 'ref' }).make(counters);
    const events = refs.make();
    const finished = h.list(finishedVisit).make();
    const log = h.list(finishedVisit);
    const now = h.local('float', 0);
    const waited = h.local('float', 0);
    const order = h.local('int', 0);

    const at = (delay: number, action: Ref, who: Ref): void => {
      order.set(order.get() + 1);
      push(events, event.make(now.get() + delay, order.get(), action, who));
    };
    const start = (c: Ref): void => {
      h.scope(() => {
        const queue = counter.fields.queue.get(c);
        const who = refs.get(queue, 0);
        refs.remove(queue, 0);
        counter.fields.busy.set(c, who);
        customer.fields.started.set(who, now.get());
        waited.set(waited.get() + (now.get() - customer.fields.arrived.get(who)));
        const items = numbers.length(customer.fields.items.get(who));
        at(0.5 + 0.2 * items, h.method(shop), who);
      });
    };
    const arrive = (who: Ref): void => {
      h.scope(() => {
        const lengths = Array.from({ length: 6 }, (_, i) =>
          h.scope(() => {
            const c = refs.get(counters, i);
            const busy = counter.fields.busy.get(c) === 0 ? 0 : 1;
            return refs.length(counter.fields.queue.get(c)) + busy;
          }),
        );
        const c = refs.get(counters, lengths.indexOf(Math.min(...lengths)));
        const items = numbers.make();
        const n = 1 + random(6);
        for (let i = 0; i < n; i++) numbers.push(items, random(50));
        customer.fields.items.set(who, items);
        notesType.set(customer.fields.notes.get(who), h.string('counter'), c);
        refs.push(counter.fields.queue.get(c), who);
        if (counter.fields.busy.get(c) === 0) start(c);
      });
    };
    const leave = (who: Ref): void => {
      h.scope(() => {
        const notes = customer.fields.notes.get(who);
        const c = notesType.get(notes, h.string('counter'));
        notesType.delete(notes, h.string('counter'));
        counter.fields.served.set(c, counter.fields.served.get(c) + 1);
        counter.fields.busy.set(c, 0);
        const items = customer.fields.items.get(who);
        const n = numbers.length(items);
        const bought = visits[n].make(
          ...Array.from({ length: n }, (_, i) => numbers.get(items, i)),
        );
        const stay = Math.round((now.get() - customer.fields.arrived.get(who)) * 1000) / 1000;
        const isGo = h.runtime === 'go';
        // In Go the log keeps a pointer to what was bought: the list itself.
        log.push(
          finished,
          finishedVisit.make(customer.fields.number.get(who), stay, isGo ? 0 : bought),
        );
        if (log.length(finished) > 6000) log.removeRange(finished, 0, 2500);
        if (refs.length(counter.fields.queue.get(c)) > 0) start(c);
      });
    };
    let number = 0;
    at(0, 0, 0);
    while (refs.length(events) > 0) {
      h.scope(() => {
        const e = pop(events);
        now.set(event.fields.time.get(e));
        if (event.fields.action.get(e) !== 0) {
          leave(event.fields.customer.get(e));
          return;
        }
        arrive(customer.make(number, now.get(), 0, numbers.make(), notesType.make()));
        number++;
        if (number < customers) at(random(100) / 250, 0, 0);
      });
    }
    const served = Array.from({ length: 6 }, (_, i) =>
      h.scope(() => counter.fields.served.get(refs.get(counters, i))),
    );
    const sums = `${now.get().toFixed(3)} ${waited.get().toFixed(3)}`;
    h.print(`${sums} [${served.join(', ')}] ${String(log.length(finished))}`);
  };
  for (const seed of [1, 2])
    h.scope(() => {
      run(seed, 8000 * scale);
    });
  return undefined;
}
