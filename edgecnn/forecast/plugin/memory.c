#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_LINES = 4096 / LINE, STREAMS = 8, STRIDE = 4, TLB_WAYS = 4 };

struct way {
  uint64_t line;  // + 1; 0 is empty
  uint64_t used;
  bool dirty, prefetched;
};

struct cache {
  int sets, ways;
  uint64_t clock;
  struct way* way;
};

// A run of lines with one distance between them.
struct stream {
  uint64_t last;
  int64_t stride;
  int seen;
};

struct traffic traffic;

static const struct core* core;
static struct cache l1, l2[MAX_L2], tlb, tlb2;
static int l2_count;
static struct stream streams[STREAMS];
static int next_stream;
static uint64_t last_page;

static void make(struct cache* cache, int lines, int ways) {
  cache->ways = ways;
  cache->sets = lines / ways;
  cache->clock = 0;
  cache->way = calloc((size_t)cache->sets * (size_t)ways, sizeof(struct way));
}

void memory_start(const struct core* the_core, const int* l2_kib, int count) {
  core = the_core;
  l2_count = count;
  make(&l1, core->l1_kib * 1024 / LINE, core->l1_ways);
  for (int k = 0; k < count; ++k) make(&l2[k], l2_kib[k] * 1024 / LINE, core->l2_ways);
  make(&tlb, core->tlb, core->tlb);
  make(&tlb2, core->tlb2, TLB_WAYS);
}

// The way of a line, or the one to put it into; *hit tells which.
static struct way* find(struct cache* cache, uint64_t line, bool* hit) {
  struct way* way = cache->way + line % (uint64_t)cache->sets * (uint64_t)cache->ways;
  struct way* oldest = way;
  for (int k = 0; k < cache->ways; ++k) {
    if (way[k].line == line + 1) {
      way[k].used = ++cache->clock;
      *hit = true;
      return way + k;
    }
    if (way[k].used < oldest->used) oldest = way + k;
  }
  *hit = false;
  return oldest;
}

static void put(struct cache* cache, struct way* way, uint64_t line) {
  *way = (struct way){.line = line + 1, .used = ++cache->clock};
}

// The second level is addressed physically: a page lies anywhere.
static uint64_t physical(uint64_t line) {
  const uint64_t page = line / PAGE_LINES * 0x9E3779B97F4A7C15ull >> 20;
  return (page * PAGE_LINES | line % PAGE_LINES) & 0xffffffffffffull;
}

// Asks the second-level caches for a line, or gives one back to them; returns a bit for each that had it.
static unsigned second_level(uint64_t line, bool dirty) {
  unsigned had = 0;
  const uint64_t there = physical(line);
  for (int k = 0; k < l2_count; ++k) {
    bool hit;
    struct way* way = find(&l2[k], there, &hit);
    if (hit) {
      had |= 1u << k;
    } else {
      traffic.l2_misses[k] += !dirty;
      traffic.write_backs[k] += way->dirty;
      put(&l2[k], way, there);
    }
    way->dirty |= dirty;
  }
  return had;
}

static unsigned fetch(struct way* way, uint64_t line) {
  if (way->dirty) second_level(way->line - 1, true);
  put(&l1, way, line);
  return second_level(line, false);
}

// The prefetcher sees misses, and the first use of what it has fetched; it does not cross pages.
static void train(uint64_t line, struct touch* touch) {
  struct stream* stream = NULL;
  int64_t distance = 0;
  for (int k = 0; k < STREAMS && !stream; ++k) {
    distance = (int64_t)line - (int64_t)streams[k].last;
    const bool near = distance != 0 && distance >= -STRIDE && distance <= STRIDE;
    if (streams[k].last && near && (streams[k].seen < 2 || distance == streams[k].stride))
      stream = &streams[k];
  }
  if (!stream) {
    streams[next_stream] = (struct stream){.last = line};
    next_stream = (next_stream + 1) % STREAMS;
    return;
  }
  stream->seen = distance == stream->stride ? stream->seen + 1 : 1;
  stream->stride = distance;
  stream->last = line;
  if (stream->seen < 2) return;
  for (int k = 1; k <= core->prefetch; ++k) {
    const uint64_t ahead = line + (uint64_t)(distance * k);
    if (ahead / PAGE_LINES != line / PAGE_LINES) break;
    bool hit;
    struct way* way = find(&l1, ahead, &hit);
    if (hit) continue;
    touch->prefetched[touch->prefetches].in_l2 = fetch(way, ahead);
    touch->prefetched[touch->prefetches++].line = ahead;
    way->prefetched = true;
  }
}

static int translate(uint64_t page) {
  if (page == last_page || core->tlb == 0) return 0;
  last_page = page;
  bool hit;
  struct way* way = find(&tlb, page, &hit);
  if (hit) return 0;
  put(&tlb, way, page);
  way = find(&tlb2, page, &hit);
  if (hit) return core->tlb_latency;
  put(&tlb2, way, page);
  ++traffic.walks;
  return core->walk;
}

int memory_touch(uint64_t address, int bytes, bool store, struct touch* touches) {
  int count = 0;
  for (uint64_t line = address / LINE; line <= (address + (uint64_t)bytes - 1) / LINE && count < 2; ++line) {
    struct touch* touch = &touches[count++];
    touch->line = line;
    touch->prefetches = 0;
    touch->translation = translate(line / PAGE_LINES);
    struct way* way = find(&l1, line, &touch->hit);
    const bool news = !touch->hit || way->prefetched;
    if (!touch->hit) {
      ++traffic.l1_misses;
      touch->in_l2 = fetch(way, line);
    }
    way->prefetched = false;
    way->dirty |= store;
    if (news && core->prefetch) train(line, touch);
  }
  return count;
}

static void fill(struct world* world, uint64_t line, uint64_t time) {
  world->fill_line[line % FILLS] = line + 1;
  world->fill_time[line % FILLS] = time;
}

uint64_t world_ready(struct world* world, const struct core* of, const struct touch* touch, uint64_t time) {
  uint64_t ready = 0;
  if (!touch->hit) {
    int slot = 0;
    for (int k = 1; k < of->outstanding; ++k) {
      if (world->outstanding[k] < world->outstanding[slot]) slot = k;
    }
    const uint64_t start = time > world->outstanding[slot] ? time : world->outstanding[slot];
    const int far = touch->in_l2 >> world->l2 & 1 ? 0 : world->dram;
    ready = world->outstanding[slot] = start + (uint64_t)(of->l2_latency + far);
    fill(world, touch->line, ready);
  } else if (world->fill_line[touch->line % FILLS] == touch->line + 1 &&
             world->fill_time[touch->line % FILLS] > time) {
    ready = world->fill_time[touch->line % FILLS];
  }
  for (int k = 0; k < touch->prefetches; ++k) {
    const int far = touch->prefetched[k].in_l2 >> world->l2 & 1 ? 0 : world->dram;
    fill(world, touch->prefetched[k].line, time + (uint64_t)(of->l2_latency + far));
  }
  if (touch->translation) {
    const uint64_t translated = time + (uint64_t)touch->translation;
    if (translated > ready) ready = translated;
  }
  return ready;
}
