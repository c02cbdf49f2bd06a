/* Requests to valgrind. Without valgrind they do nothing. */

#include <stddef.h>
#include <valgrind/callgrind.h>
#include <valgrind/memcheck.h>

unsigned hookwarden_on_valgrind(void) { return RUNNING_ON_VALGRIND; }

unsigned hookwarden_reports(void) { return VALGRIND_COUNT_ERRORS; }

void hookwarden_poison(const void *start, size_t size) { (void)VALGRIND_MAKE_MEM_UNDEFINED(start, size); }

void hookwarden_cure(const void *start, size_t size) { (void)VALGRIND_MAKE_MEM_DEFINED(start, size); }

/* Returns 1 if every bit is undefined, and 0 otherwise, or if valgrind cannot answer. */
unsigned hookwarden_is_poisoned(const unsigned char *start, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char bits = 0;
    if (VALGRIND_GET_VBITS(start + i, &bits, 1) != 1 || bits != 0xff) return 0;
  }
  return 1;
}

void hookwarden_mute(void) { VALGRIND_DISABLE_ERROR_REPORTING; }

void hookwarden_unmute(void) { VALGRIND_ENABLE_ERROR_REPORTING; }

void hookwarden_count_from_here(void) { CALLGRIND_ZERO_STATS; }

void hookwarden_count_to_here(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
