// A server's warm heap: users by number, built once and then read by every worker that it forks.

import type { Heap } from '../heap.ts';

export function server(heap: Heap, scale: number): string {
  const n = Math.max(1, Math.round(40000 * scale));
  const User = heap.record('User', { id: 'int', name: 'string', score: 'float' });
  const byNumber = heap.map('int', 'ref');
  const users = byNumber.make();
  heap.loop(n, (i) => {
    const name = heap.concat(heap.string('user '), heap.digits(i));
    byNumber.set(users, (i * 7919) % 1000003, User.make(i, name, i * 0.5));
  });
  heap.mark('built');
  let total = 0;
  byNumber.each(users, (_, user) => {
    total += User.fields.id.get(user);
  });
  return `${byNumber.size(users)} users, ${total}`;
}
