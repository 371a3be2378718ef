// What a program and the kernel say to each other over a userfaultfd.
// Source: Linux 6.18 include/uapi/linux/userfaultfd.h.

export const UFFD_API = 0xaa;
export const UFFD_EVENT_PAGEFAULT = 0x12;
export const UFFD_EVENT_REMAP = 0x14;
export const UFFD_EVENT_REMOVE = 0x15;
export const UFFD_EVENT_UNMAP = 0x16;
export const UFFD_PAGEFAULT_FLAG_WRITE = 1;
export const UFFD_PAGEFAULT_FLAG_WP = 2;
export const UFFD_PAGEFAULT_FLAG_MINOR = 4;
export const UFFD_FEATURE_EVENT_REMAP = 1 << 2;
export const UFFD_FEATURE_EVENT_REMOVE = 1 << 3;
export const UFFD_FEATURE_EVENT_UNMAP = 1 << 6;
export const UFFD_FEATURE_SIGBUS = 1 << 7;
export const UFFD_FEATURE_EXACT_ADDRESS = 1 << 11;
export const UFFDIO_REGISTER_MODE_MISSING = 1;
export const UFFDIO_REGISTER_MODE_WP = 2;
export const UFFDIO_REGISTER_MODE_MINOR = 4;
export const UFFDIO_COPY_MODE_DONTWAKE = 1;
export const UFFDIO_COPY_MODE_WP = 2;
export const UFFDIO_WRITEPROTECT_MODE_WP = 1;
export const UFFDIO_WRITEPROTECT_MODE_DONTWAKE = 2;

/** A struct uffd_msg. */
export interface UffdMessage {
  readonly event: number;
  /** UFFD_PAGEFAULT_FLAG_*; 0 for other events. */
  readonly flags: number;
  /** The fault's page; start of the range that goes or moves. */
  readonly address: number;
  /** End of the range (REMOVE, UNMAP); where it went (REMAP). */
  readonly to: number;
}
