/* detect MODEL.ecnn FRAME WIDTH HEIGHT [bgr|rgb|rgba|grey|nv12|yuyv]
 *
 * Finds objects in one raw frame: the bytes as a camera or a decoder gives them, without a header. Prints a
 * line a box.
 */
#include <edgecnn/edgecnn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxBoxes = 100, kMaxSide = 16384 };

static const struct {
  const char* name;
  ecnn_pixel_format format;
  int bits; /* per pixel */
} kFormats[] = {
    {"bgr", ECNN_BGR, 24},  {"rgb", ECNN_RGB, 24},   {"rgba", ECNN_RGBA, 32},
    {"grey", ECNN_GREY, 8}, {"nv12", ECNN_NV12, 12}, {"yuyv", ECNN_YUYV, 16},
};

/* The first `size` bytes of a file; NULL where it has fewer. */
static void* read_frame(const char* path, size_t size) {
  FILE* file = fopen(path, "rb");
  void* data = malloc(size);
  if (file && data && fread(data, 1, size, file) != size) {
    free(data);
    data = NULL;
  }
  if (file) fclose(file);
  return file ? data : NULL;
}

static int fail(const char* message) {
  fprintf(stderr, "detect: %s\n", message);
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 5) return fail("usage: detect MODEL.ecnn FRAME WIDTH HEIGHT [bgr|rgb|rgba|grey|nv12|yuyv]");
  const int width = atoi(argv[3]), height = atoi(argv[4]);
  size_t kind = 0;
  const size_t kinds = sizeof kFormats / sizeof kFormats[0];
  while (argc > 5 && kind < kinds && strcmp(argv[5], kFormats[kind].name) != 0) ++kind;
  if (kind == kinds) return fail("unknown pixel format");
  if (width < 2 || height < 2 || width > kMaxSide || height > kMaxSide || width % 2 || height % 2) {
    return fail("width and height are even and at most 16384");
  }

  void* pixels = read_frame(argv[2], (size_t)width * (size_t)height * (size_t)kFormats[kind].bits / 8);
  if (!pixels) return fail("the frame cannot be read, or has fewer bytes than a picture of this size");
  ecnn_model* model = NULL;
  ecnn_context* context = NULL;
  ecnn_image image = {sizeof image, pixels, width, height, 0, kFormats[kind].format, NULL, 0};
  ecnn_box boxes[kMaxBoxes];
  size_t count = 0;
  int result = 0;
  if (ecnn_model_open(argv[1], &model) || ecnn_context_create(model, NULL, &context) ||
      ecnn_detect(context, &image, NULL, boxes, kMaxBoxes, &count)) {
    result = fail(ecnn_last_error());
  }
  for (size_t i = 0; i < count; ++i) {
    const ecnn_box* box = &boxes[i];
    const char* label = ecnn_model_label(model, box->class_id);
    printf("%s %.4f  %.2f %.2f %.2f %.2f\n", label ? label : "?", box->score, box->x0, box->y0, box->x1,
           box->y1);
  }
  ecnn_context_destroy(context);
  ecnn_model_close(model);
  free(pixels);
  return result;
}
