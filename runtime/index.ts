// The package's public face: `import { … } from 'pagewalk'`.
export * from '../kernel/index.ts';
export * from '../userspace/index.ts';
export type { Memory } from './memory.ts';
export { GuestSignal } from './memory.ts';
