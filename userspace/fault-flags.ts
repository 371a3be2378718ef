// What the fault handler's parts tell each other, beyond the hardware's error code (kernel/ports).

/** Flag of a fault, above PF_*: the second try, after waiting for the disk. */
export const FAULT_TRIED = 0x100;

/** Results of the handlers, above FAULT_*, that never reach the MMU: try again from the start. */
export const FAULT_RETRY = 0x100;
/** Try again; nothing was waited for, so the fault stays minor. */
export const FAULT_AGAIN = 0x400;
/** Resolved, and the disk was asked: a major fault. */
export const FAULT_MAJOR = 0x300;
/** Not a case for huge pages: go on with the page-table entry. */
export const FAULT_FALLBACK = 0x200;
