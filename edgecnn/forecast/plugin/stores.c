// What stores do to later instructions.
#include "pipeline.h"

enum { GRAIN = 16 };

void remember_store(struct pipeline* p, const struct event* event, uint64_t available) {
  const uint64_t first = event->address / GRAIN;
  const uint64_t last = (event->address + event->instruction->bytes - 1u) / GRAIN;
  for (uint64_t grain = first; grain <= last; ++grain) {
    p->stored[grain % STORES] = grain;
    p->stored_at[grain % STORES] = available;
  }
}

uint64_t stored_data(const struct pipeline* p, const struct event* event, uint64_t now) {
  uint64_t time = 0;
  const uint64_t first = event->address / GRAIN;
  const uint64_t last = (event->address + event->instruction->bytes - 1u) / GRAIN;
  for (uint64_t grain = first; grain <= last; ++grain) {
    const uint64_t at = p->stored[grain % STORES] == grain ? p->stored_at[grain % STORES] : 0;
    if (at > now && at > time) time = at;
  }
  return time;
}

uint64_t write_buffer(struct pipeline* p, const struct core* core, uint64_t arrival) {
  const uint64_t free = p->write_buffer[p->next_write];
  p->write_buffer[p->next_write] = arrival;
  p->next_write = (p->next_write + 1) % core->write_buffer;
  return free;
}
