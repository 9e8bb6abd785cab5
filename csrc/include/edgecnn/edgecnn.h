/* edgecnn: runs compiled convolutional networks (.ecnn files) inside C and C++ applications.
 *
 *   ecnn_model* model;
 *   ecnn_context* context;
 *   if (ecnn_model_open("detector.ecnn", &model) || ecnn_context_create(model, NULL, &context))
 *     puts(ecnn_last_error());
 *   ecnn_image frame = {sizeof frame, pixels, 640, 480, 0, ECNN_BGR, NULL, 0};
 *   ecnn_box boxes[100];
 *   size_t count;
 *   ecnn_detect(context, &frame, NULL, boxes, 100, &count);
 *
 * A model is immutable and may be used by any number of threads at once. A context runs it: one context per
 * thread. Handles are closed in any order; a model lives until its last context is gone.
 *
 * Every function that can fail returns a status, ECNN_OK (0) or what went wrong, and leaves a sentence about
 * it in ecnn_last_error(). Nothing here throws, aborts or prints. Structures begin with their size, which the
 * caller sets: so programs and libraries of different age understand each other. Strings are UTF-8 and belong
 * to the handle that they were asked of.
 */
#ifndef EDGECNN_EDGECNN_H_
#define EDGECNN_EDGECNN_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ECNN_API __attribute__((visibility("default")))
#else
#define ECNN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a program that was built with an older header would no longer work. */
#define ECNN_ABI_VERSION 1

typedef int32_t ecnn_status;
enum {
  ECNN_OK = 0,
  ECNN_ERROR_ARGUMENT = 1, /* a null pointer, a size out of range */
  ECNN_ERROR_MEMORY = 2,   /* there is not enough */
  ECNN_ERROR_FILE = 3,     /* cannot be opened, read or mapped */
  ECNN_ERROR_FORMAT = 4,   /* no .ecnn file, or a damaged one */
  ECNN_ERROR_VERSION = 5,  /* an .ecnn file of another version of the format */
  ECNN_ERROR_TARGET = 6,   /* made for another instruction set; the message says how to make the right one */
  ECNN_ERROR_UNSUPPORTED = 7, /* the model is no detector, or no classifier, that can be given pictures */
  ECNN_ERROR_BUSY = 8         /* another thread is using this context */
};

typedef struct ecnn_model ecnn_model;
typedef struct ecnn_context ecnn_context;

/* ---- library and machine ---- */

ECNN_API const char* ecnn_version(void);    /* "0.1.0" */
ECNN_API int32_t ecnn_abi_version(void);    /* ECNN_ABI_VERSION of the library */
ECNN_API const char* ecnn_last_error(void); /* what last went wrong in the calling thread; "" before that */

typedef struct ecnn_cpu {
  size_t size;
  const char* target;     /* the best target of this CPU, as `edgecnn convert --target` takes it */
  const char* targets;    /* all that it can run, separated by spaces */
  const char* cores;      /* designs of the cores, as in "4 x Cortex-A72"; "" where not known */
  int32_t physical_cores; /* that this process may run on */
  int32_t fast_cores;     /* those of them that are not slow ones beside fast ones */
  uint64_t l1d_bytes, l2_bytes;
} ecnn_cpu;
ECNN_API ecnn_status ecnn_cpu_report(ecnn_cpu* report);

/* ---- memory ---- */

/* Where large blocks come from: arena, scratch, inputs, outputs, and copies of models. NULL: the C library.
 * allocate returns NULL where there is no memory. (Bookkeeping, some 200 bytes a layer, comes from the C++
 * runtime.)
 */
typedef struct ecnn_allocator {
  size_t size;
  void* user;
  void* (*allocate)(void* user, size_t bytes, size_t alignment);
  void (*release)(void* user, void* block);
} ecnn_allocator;

/* ---- models ---- */

/* Maps a file. It must not be written to while the model is open: replace it by renaming another over it. */
ECNN_API ecnn_status ecnn_model_open(const char* path, ecnn_model** model);

/* The same from an open file, which may be closed afterwards. */
ECNN_API ecnn_status ecnn_model_open_fd(int fd, ecnn_model** model);

/* From memory: used where it is if it begins at a multiple of 64 bytes (it must then stay as it is while the
 * model is open), else copied. `allocator` may be NULL. */
ECNN_API ecnn_status ecnn_model_open_memory(const void* data, size_t bytes, const ecnn_allocator* allocator,
                                            ecnn_model** model);

ECNN_API void ecnn_model_close(ecnn_model* model);

typedef struct ecnn_model_info {
  size_t size;
  const char* name;
  const char* target;
  int32_t input_count, output_count;
  int32_t step_count;  /* rows of ecnn_profile() */
  int32_t class_count; /* of its detections; 0 where it is no detector */
  int32_t label_count;
  uint64_t weights_bytes; /* once, in the file */
  uint64_t context_bytes; /* of a context with one thread */
  uint64_t thread_bytes;  /* for each further thread */
} ecnn_model_info;
ECNN_API ecnn_status ecnn_model_describe(const ecnn_model* model, ecnn_model_info* info);

/* The name of a class; NULL where the model does not tell. */
ECNN_API const char* ecnn_model_label(const ecnn_model* model, int32_t class_id);

typedef int32_t ecnn_type;
enum {
  ECNN_FLOAT32 = 0,
  ECNN_INT32 = 1,
  ECNN_INT64 = 2,
  ECNN_BOOL = 3,
  ECNN_INT8 = 4,
  ECNN_UINT8 = 5,
  ECNN_FLOAT64 = 6
};

#define ECNN_MAX_RANK 8
typedef struct ecnn_tensor {
  size_t size;
  const char* name;
  ecnn_type type;
  int32_t rank;
  int64_t shape[ECNN_MAX_RANK];
  uint64_t bytes;
} ecnn_tensor;
ECNN_API ecnn_status ecnn_model_input(const ecnn_model* model, int32_t index, ecnn_tensor* tensor);
ECNN_API ecnn_status ecnn_model_output(const ecnn_model* model, int32_t index, ecnn_tensor* tensor);

/* ---- contexts ---- */

/* An application's own threads: run() calls task(argument, i) for each i in [0, count), on any threads, and
 * returns when all are done. */
typedef struct ecnn_parallel {
  size_t size;
  void* user;
  void (*run)(void* user, int32_t count, void (*task)(void* argument, int32_t index), void* argument);
} ecnn_parallel;

typedef struct ecnn_context_options {
  size_t size;
  int32_t threads;                 /* that share each layer, the caller included; 0 means 1 */
  const ecnn_allocator* allocator; /* NULL: the C library */
  const ecnn_parallel* parallel;   /* NULL: threads of edgecnn's own, which live as long as the context */
} ecnn_context_options;

/* `options` may be NULL. Results do not depend on them, bit for bit. */
ECNN_API ecnn_status ecnn_context_create(ecnn_model* model, const ecnn_context_options* options,
                                         ecnn_context** context);
ECNN_API void ecnn_context_destroy(ecnn_context* context);

/* The context's own arrays, at multiples of 64 bytes; NULL where there is no such input or output. Write
 * inputs before ecnn_run(), read outputs after it. */
ECNN_API void* ecnn_context_input(ecnn_context* context, int32_t index);
ECNN_API const void* ecnn_context_output(const ecnn_context* context, int32_t index);

/* Allocates nothing. */
ECNN_API ecnn_status ecnn_run(ecnn_context* context);

/* Where the time goes: one step of a run, which is a layer or a part of one. */
typedef struct ecnn_step_time {
  const char* layer;  /* its name in the model */
  const char* op;     /* what it does */
  const char* kernel; /* what does it */
  double milliseconds;
  uint64_t bytes; /* read and written at least */
} ecnn_step_time;

/* ecnn_run() with a clock around each step. Writes at most `capacity` rows and sets *count to their number.
 */
ECNN_API ecnn_status ecnn_profile(ecnn_context* context, ecnn_step_time* rows, size_t capacity,
                                  size_t* count);

/* ---- pictures ---- */

typedef int32_t ecnn_pixel_format;
enum {
  ECNN_GREY = 0,
  ECNN_BGR = 1,
  ECNN_RGB = 2,
  ECNN_BGRA = 3, /* alpha is ignored */
  ECNN_RGBA = 4,
  ECNN_NV12 = 5, /* a plane of Y, and a plane of half the size of U V pairs; BT.601, 16 to 235 */
  ECNN_YUYV = 6  /* Y U Y V for each two pixels; likewise */
};

/* Pixels of the caller. */
typedef struct ecnn_image {
  size_t size;
  const void* data;
  int32_t width, height;
  ptrdiff_t
      stride; /* bytes from row to row, negative where the bottom row comes first; 0: rows without gaps */
  ecnn_pixel_format format;
  const void* chroma;      /* the second plane of ECNN_NV12; NULL: behind the first */
  ptrdiff_t chroma_stride; /* 0: as `stride` */
} ecnn_image;

typedef struct ecnn_detect_options {
  size_t size;
  float confidence; /* boxes score more than this */
  float iou;        /* of two boxes of a class that overlap more than this, the better one stays */
  int32_t max_boxes;
  int32_t agnostic;       /* not 0: boxes of different classes suppress each other too */
  const int32_t* classes; /* the only classes to report; NULL: all */
  size_t class_count;
} ecnn_detect_options;
#define ECNN_DETECT_DEFAULTS \
  { sizeof(ecnn_detect_options), .25f, .45f, 300, 0, NULL, 0 }

typedef struct ecnn_box {
  float x0, y0, x1, y1; /* pixels of the picture; x1 and y1 lie just outside */
  float score;
  int32_t class_id;
} ecnn_box;

/* Finds objects. Writes the boxes, best first, at most `capacity`, and sets *count to their number. `options`
 * may be NULL. Allocates nothing while pictures have one size and format, except where there are more
 * candidates than ever before. */
ECNN_API ecnn_status ecnn_detect(ecnn_context* context, const ecnn_image* image,
                                 const ecnn_detect_options* options, ecnn_box* boxes, size_t capacity,
                                 size_t* count);

typedef struct ecnn_class {
  int32_t class_id;
  float probability;
} ecnn_class;

/* Says what a picture shows. Writes the most probable classes, best first, at most `capacity`, and sets
 * *count to their number. */
ECNN_API ecnn_status ecnn_classify(ecnn_context* context, const ecnn_image* image, ecnn_class* classes,
                                   size_t capacity, size_t* count);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* EDGECNN_EDGECNN_H_ */
