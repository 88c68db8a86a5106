#ifndef COSTS_H
#define COSTS_H
#include <stdint.h>

/// Calls of the C library by this process, in all its threads, while counting was on.
typedef struct {
  /// Calls that give memory, and the bytes asked for.
  uint64_t allocations, allocated;
  /// Bytes that memcpy and memmove were asked to copy. Copies that the compiler writes out are not among them.
  uint64_t copied;
  /// System calls on files: reads, writes, syncs, and all others (open, close, length, cut, seek).
  uint64_t reads, writes, syncs, others;
  /// System calls on sockets: reads, writes, and waits for events.
  uint64_t received, sent, waits;
} dat_costs;

/// Sets all counters to 0 and starts counting.
void dat_costs_start(void);

/// Stops counting, and returns what was counted since the start.
dat_costs dat_costs_stop(void);

/// 1 if calls are counted here; 0 on systems, or under a sanitizer, that leave no room for it.
int dat_costs_work(void);

#endif
