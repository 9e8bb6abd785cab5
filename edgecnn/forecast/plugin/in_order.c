// In order: an instruction issues when its operands are there and the one before it leaves it a place.
#include "pipeline.h"

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t before(uint64_t time, int cycles) {
  return time > (uint64_t)cycles ? time - (uint64_t)cycles : 0;
}

// When the operands are there. The accumulator of a product, and the data of a store, are needed late.
static uint64_t operands(const struct pipeline* p, const struct instruction* i, const struct timing* timing) {
  uint64_t time = 0;
  for (int k = 0; k < i->read_count; ++k) {
    const uint8_t reg = i->reads[k];
    if (k < i->address_reads) {
      time = later(time, p->address_ready[reg]);
    } else if (i->accumulator == reg && k == i->read_count - 1) {
      time = later(time, before(p->ready[reg], timing->latency - timing->accumulate));
    } else {
      time = later(time, i->stores ? before(p->ready[reg], 1) : p->ready[reg]);
    }
  }
  return time;
}

static bool too_close(const struct pipeline* p, uint64_t time, int gap) {
  for (int k = 0; k < 16; ++k) {
    if (p->gap_cycles[k] && p->gap_cycles[k] + (uint64_t)gap == time) return true;
  }
  return false;
}

void step_in_order(struct pipeline* p, const struct core* core, const struct event* event) {
  const struct instruction* i = event->instruction;
  const struct timing* timing = &core->timing[i->class];
  uint64_t time = later(later(p->now, p->not_before), operands(p, i, timing));
  if (time == p->now && p->issued > 0) {
    if (p->issued >= core->width || core->apart[p->first][i->class]) ++time;
  }
  if (core->gap_before[i->class]) {
    while (too_close(p, time, core->gap)) ++time;
  }
  for (int k = 0; k < core->pipe_count; ++k) {
    if (timing->pipes >> k & 1) time = later(time, p->pipe_free[k]);
  }
  if (time > p->now) {
    p->now = time;
    p->issued = 0;
    p->first = i->class;
  }
  ++p->issued;
  if (core->gap_after[i->class]) {
    p->gap_cycles[p->next_gap] = time;
    p->next_gap = (p->next_gap + 1) % 16;
  }
  // Pairing is the business of apart; what takes several cycles keeps its pipe, and a transfer all that is
  // behind it.
  const int cycles = timing->cycles;
  if ((i->loads || i->stores) && cycles > 1) p->not_before = time + (uint64_t)cycles;
  for (int k = 0; k < core->pipe_count; ++k) {
    if (timing->pipes >> k & 1 && cycles > 1) p->pipe_free[k] = time + (uint64_t)cycles;
  }
  uint64_t arrival = i->loads && event->address ? stored_data(p, event, time) : 0;
  for (int k = 0; k < event->touch_count; ++k) {
    arrival = later(arrival, world_ready(&p->world, core, &event->touches[k], time));
  }
  if (i->stores && event->address) {
    remember_store(p, event, time + (uint64_t)core->forward);
    if (arrival > time) p->not_before = later(p->not_before, write_buffer(p, core, arrival));
  }
  const int data = i->write_count - i->writes_back;
  for (int k = 0; k < data; ++k) {
    uint64_t ready = time + (uint64_t)timing->latency;
    // The registers of a long transfer arrive one after the other.
    if (i->loads && cycles > 1) ready -= (uint64_t)(cycles - (k + 1) * cycles / data);
    if (i->loads && arrival) ready = later(ready, arrival + 1);
    p->ready[i->writes[k]] = ready;
    p->address_ready[i->writes[k]] = i->class == C_alu ? time + (uint64_t)core->address : ready;
  }
  if (i->writes_back)
    p->ready[i->writes[data]] = p->address_ready[i->writes[data]] = time + (uint64_t)core->base;
  if (event->mispredicted) p->not_before = later(p->not_before, time + (uint64_t)core->mispredict);
}
