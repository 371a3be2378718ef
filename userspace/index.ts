// The userspace layer's public face.
export * from './mman.ts';
