// What the last faults did, for whoever reports on a statement: one record, made at boot, that the
// fault handler adds to and the observer resets. Numbers only, so that a fault makes no object.

/** Bits of FaultInfo.kinds. */
export const DID_ANON = 1; // a new zeroed anonymous page
export const DID_ZERO = 2; // the shared zero page (small or huge) was mapped
export const DID_SPECIAL = 4; // a page without struct page: [vvar]
export const DID_FILE = 8; // a page of a file
export const DID_AROUND = 16; // fault-around looked at [aroundFirst, aroundLast]
export const DID_COPY = 32; // a write-protected page was copied
export const DID_REUSE = 64; // a write-protected page was made writable
export const DID_SWAPIN = 128;
export const DID_HUGE = 256;
export const DID_SPURIOUS = 512; // the entry already allowed the access
export const DID_COW_FILE = 1024; // a private copy of a file page was made at once

export class FaultInfo {
  /** DID_* bits since reset(). */
  kinds = 0;
  /** Faults resolved since reset(). */
  minor = 0;
  major = 0;
  /** Pages of the file that the last fault-around looked at, cut at the end of the file. */
  aroundFirst = 0;
  aroundLast = 0;
  /** Order of the largest folio that was allocated, 0 for single pages. */
  order = 0;
  /** File pages that were mapped. */
  mapped = 0;

  reset(): void {
    this.kinds = 0;
    this.minor = 0;
    this.major = 0;
    this.order = 0;
    this.mapped = 0;
  }
}
