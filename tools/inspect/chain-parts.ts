// What the links of a chain are made of.

import type { EntryInfo } from './entry.ts';
import type { Selection } from './selection.ts';

export interface ChainFact {
  readonly label: string;
  readonly value: string;
  /** Where it leads. */
  readonly select?: Selection | undefined;
}

export interface ChainLink {
  readonly kind: string;
  /** Entry of the glossary. */
  readonly term: string;
  readonly title: string;
  readonly facts: readonly ChainFact[];
  readonly select?: Selection | undefined;
  readonly entry?: EntryInfo;
}

/** 0x and digits; a kernel address as the 64 bits it stands for. */
export const hexText = (n: number): string =>
  n >= 0 ? `0x${n.toString(16)}` : `0x${BigInt.asUintN(64, BigInt(n)).toString(16)}`;
