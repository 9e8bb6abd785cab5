// Out of order: decoded and retired in order, a few a cycle; in between, each micro-operation takes the first
// cycle in which its operands and one of its pipes are there.
#include "pipeline.h"

enum { DECODE_TO_ISSUE = 3 };

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static bool is_free(const struct pipeline* p, int pipe, uint64_t time, int cycles) {
  for (int k = 0; k < cycles; ++k) {
    if (p->schedule_cycle[pipe][(time + (uint64_t)k) % SCHEDULE] == time + (uint64_t)k) return false;
  }
  return true;
}

// Takes the first free cycles of one of the pipes.
static uint64_t schedule(struct pipeline* p, unsigned pipes, uint64_t time, int cycles) {
  for (;; ++time) {
    for (unsigned rest = pipes; rest; rest &= rest - 1) {
      const int pipe = __builtin_ctz(rest);
      if (!is_free(p, pipe, time, cycles)) continue;
      for (int k = 0; k < cycles; ++k) {
        p->schedule_cycle[pipe][(time + (uint64_t)k) % SCHEDULE] = time + (uint64_t)k;
      }
      return time;
    }
  }
}

static void wait_until(struct pipeline* p, uint64_t time) {
  if (time > p->decode) {
    p->decode = time;
    p->decoded = 0;
  }
}

void step_out_of_order(struct pipeline* p, const struct core* core, const struct event* event) {
  const struct instruction* i = event->instruction;
  const struct timing* timing = &core->timing[i->class];
  const int line = timing->pipes ? __builtin_ctz(timing->pipes) : 0;  // where it waits for its pipe
  if (p->decoded >= core->width) wait_until(p, p->decode + 1);
  wait_until(p, p->window[p->next_window]);
  wait_until(p, p->queue[line][p->next_queue[line]]);
  wait_until(p, p->not_before);
  p->decoded += timing->parts + i->writes_back > 2 ? 2 : 1;

  uint64_t time = p->decode + DECODE_TO_ISSUE;
  for (int k = 0; k < i->read_count; ++k) {
    uint64_t ready = p->ready[i->reads[k]];
    if (i->accumulator == i->reads[k] && k == i->read_count - 1) {
      const uint64_t early = (uint64_t)(timing->latency - timing->accumulate);
      ready = ready > early ? ready - early : 0;
    }
    if (i->stores && k >= i->address_reads) continue;  // data wait in the store buffer
    time = later(time, ready);
  }
  uint64_t issue = time, issues[MAX_PARTS] = {time};
  for (int part = 0; part < timing->parts && timing->pipes; ++part) {
    issues[part] = schedule(p, timing->pipes, time, timing->cycles);
    issue = later(issue, issues[part]);
  }
  p->queue[line][p->next_queue[line]] = issue;
  p->next_queue[line] = (p->next_queue[line] + 1) % core->queue;

  uint64_t arrival = i->loads && event->address ? stored_data(p, event, issue) : 0;
  for (int k = 0; k < event->touch_count; ++k) {
    arrival = later(arrival, world_ready(&p->world, core, &event->touches[k], issue));
  }
  uint64_t finish = issue + (uint64_t)timing->latency;
  if (i->loads && arrival) finish = later(finish, arrival + (uint64_t)timing->latency - 1);
  if (i->stores && event->address) {
    uint64_t written = issue;
    for (int k = i->address_reads; k < i->read_count; ++k) written = later(written, p->ready[i->reads[k]]);
    remember_store(p, event, written + (uint64_t)core->forward);
    finish = later(finish, written);
    if (arrival > issue) finish = later(finish, write_buffer(p, core, arrival));
  }
  const int data = i->write_count - i->writes_back;
  for (int k = 0; k < data; ++k) {
    // Each register of a long load has a part of its own.
    const bool own = i->loads && !arrival && data == timing->parts;
    p->ready[i->writes[k]] = own ? issues[k] + (uint64_t)timing->latency : finish;
  }
  if (i->writes_back) p->ready[i->writes[data]] = issue + (uint64_t)core->base;

  if (finish > p->now) {
    p->now = finish;
    p->retired = 0;
  }
  if (++p->retired > core->width) {
    ++p->now;
    p->retired = 1;
  }
  p->window[p->next_window] = p->now;
  p->next_window = (p->next_window + 1) % core->reorder;
  if (event->mispredicted) p->not_before = later(p->not_before, issue + (uint64_t)core->mispredict);
  if (event->taken) wait_until(p, p->decode + 1);
}
