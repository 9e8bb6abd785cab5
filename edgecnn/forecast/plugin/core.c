#include "core.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 20 };

struct number {
  const char* key;
  size_t offset;
};

static const struct number kNumbers[] = {
#define N(field) \
  { #field, offsetof(struct core, field) }
    N(out_of_order), N(width),   N(reorder),     N(queue),      N(mispredict),  N(address),  N(base),
    N(l1_kib),       N(l1_ways), N(l2_ways),     N(l2_latency), N(outstanding), N(prefetch), N(forward),
    N(write_buffer), N(tlb),     N(tlb_latency), N(tlb2),       N(walk),
#undef N
};

// The classes that a comma-separated list names; a name may end in *.
static bool classes(const char* list, bool* set) {
  memset(set, 0, CLASS_COUNT);
  char copy[256];
  snprintf(copy, sizeof copy, "%s", list);
  char* rest = copy;
  for (char* name; (name = strtok_r(rest, ",", &rest));) {
    const size_t length = strlen(name);
    const bool prefix = name[length - 1] == '*';
    bool found = false;
    for (int k = 0; k < CLASS_COUNT; ++k) {
      if (prefix ? strncmp(class_names[k], name, length - 1) == 0 : strcmp(class_names[k], name) == 0) {
        set[k] = found = true;
      }
    }
    if (!found) return false;
  }
  return true;
}

static bool pipe_set(const struct core* core, const char* list, unsigned* set) {
  *set = 0;
  if (strcmp(list, "-") == 0) return true;
  char copy[64];
  snprintf(copy, sizeof copy, "%s", list);
  char* rest = copy;
  for (char* name; (name = strtok_r(rest, ",", &rest));) {
    int k = 0;
    while (k < core->pipe_count && strcmp(core->pipe_names[k], name) != 0) ++k;
    if (k == core->pipe_count) return false;
    *set |= 1u << k;
  }
  return true;
}

// One line of a page, in words.
static bool read_line(struct core* core, int count, char* const* word, bool* seen) {
  const char* key = word[0];
  bool first[CLASS_COUNT], second[CLASS_COUNT];
  if (strcmp(key, "name") == 0 && count == 2) {
    snprintf(core->name, sizeof core->name, "%.31s", word[1]);
    return true;
  }
  if (strcmp(key, "pipes") == 0) {
    for (int k = 1; k < count && core->pipe_count < MAX_PIPES; ++k)
      snprintf(core->pipe_names[core->pipe_count++], 8, "%.7s", word[k]);
    return count > 1;
  }
  if (strcmp(key, "apart") == 0 && count == 3 && classes(word[1], first) && classes(word[2], second)) {
    for (int a = 0; a < CLASS_COUNT; ++a) {
      for (int b = 0; b < CLASS_COUNT; ++b) {
        if (first[a] && second[b]) core->apart[a][b] = core->apart[b][a] = true;
      }
    }
    return true;
  }
  if (strcmp(key, "gap") == 0 && count == 4) {
    core->gap = atoi(word[1]);
    return classes(word[2], core->gap_after) && classes(word[3], core->gap_before);
  }
  if (strcmp(key, "class") == 0 && count == 7 && classes(word[1], first)) {
    struct timing timing = {atoi(word[2]), atoi(word[3]), atoi(word[4]), atoi(word[5]), 0};
    if (!pipe_set(core, word[6], &timing.pipes) || timing.latency < 0 || timing.parts < 1 ||
        timing.parts > MAX_PARTS || timing.cycles < 1)
      return false;
    for (int k = 0; k < CLASS_COUNT; ++k) {
      if (first[k]) {
        core->timing[k] = timing;
        seen[k] = true;
      }
    }
    return true;
  }
  for (size_t k = 0; k < sizeof kNumbers / sizeof kNumbers[0]; ++k) {
    if (count == 2 && strcmp(key, kNumbers[k].key) == 0) {
      *(int*)((char*)core + kNumbers[k].offset) = atoi(word[1]);
      return true;
    }
  }
  return false;
}

bool read_core(const char* path, struct core* core, char* message, int room) {
  memset(core, 0, sizeof *core);
  bool seen[CLASS_COUNT] = {false};
  FILE* file = fopen(path, "r");
  if (!file) {
    snprintf(message, (size_t)room, "cannot read %s", path);
    return false;
  }
  char line[512];
  for (int number = 1; fgets(line, sizeof line, file); ++number) {
    line[strcspn(line, "#\n")] = 0;
    char* word[MAX_WORDS];
    int count = 0;
    char* rest = line;
    for (char* next; count < MAX_WORDS && (next = strtok_r(rest, " ", &rest));) word[count++] = next;
    if (count > 0 && !read_line(core, count, word, seen)) {
      snprintf(message, (size_t)room, "%s:%d: not a line of a core's page: %s ...", path, number, word[0]);
      fclose(file);
      return false;
    }
  }
  fclose(file);
  for (int k = 0; k < CLASS_COUNT; ++k) {
    if (!seen[k]) {
      snprintf(message, (size_t)room, "%s: no row for the class %s", path, class_names[k]);
      return false;
    }
  }
  return true;
}
