// The inspection API: every look that a view, a prompt or an exporter may take at a machine, by
// name. See subject.ts for its rule: no effect, plain data.

import { frameMap } from './frames.ts';
import type { Subject } from './subject.ts';

/** All inspections, each a function of the subject and plain arguments. */
export const inspections = {
  frames: (s: Subject) => frameMap(s),
};

export type Inspections = typeof inspections;
export type InspectionName = keyof Inspections;
type Rest<F> = F extends (s: Subject, ...args: infer A) => unknown ? A : never;
export type InspectionArgs<K extends InspectionName> = Rest<Inspections[K]>;
export type InspectionResult<K extends InspectionName> = ReturnType<Inspections[K]>;

/** Takes one look. */
export function inspect<K extends InspectionName>(
  subject: Subject,
  name: K,
  args: InspectionArgs<K>,
): InspectionResult<K> {
  const look = inspections[name] as unknown as (
    s: Subject,
    ...args: InspectionArgs<K>
  ) => InspectionResult<K>;
  return look(subject, ...args);
}
