// camera MODEL.ecnn /dev/video0 WIDTH HEIGHT
// camera MODEL.ecnn FRAMES.yuyv WIDTH HEIGHT [FPS]
//
// Finds objects in what a V4L2 camera sees now. A thread takes every frame from the driver and keeps the
// newest; the detector works on that one, however many it missed: so results are never older than one frame
// and one detection. A file of raw YUYV frames stands in for a camera.
#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <edgecnn/edgecnn.hpp>
#include <mutex>
#include <thread>

using Frame = std::vector<uint8_t>;

// A camera of the kernel's: read() waits for the next frame.
class Camera {
 public:
  Camera(int fd, uint32_t width, uint32_t height) : fd_(fd) {
    v4l2_format format{};
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    v4l2_pix_format& pix = format.fmt.pix;
    pix.width = width, pix.height = height, pix.pixelformat = V4L2_PIX_FMT_YUYV;
    v4l2_requestbuffers request{};
    request.count = 4, request.type = format.type, request.memory = V4L2_MEMORY_MMAP;
    ready_ = !ioctl(fd, VIDIOC_S_FMT, &format) && pix.pixelformat == V4L2_PIX_FMT_YUYV &&
             pix.width == width && pix.height == height && pix.bytesperline == 2 * width &&
             !ioctl(fd, VIDIOC_REQBUFS, &request);
    for (uint32_t i = 0; ready_ && i < request.count; ++i) {
      v4l2_buffer buffer = make_buffer(i);
      ready_ = !ioctl(fd, VIDIOC_QUERYBUF, &buffer);
      maps_.push_back(mmap(nullptr, buffer.length, PROT_READ, MAP_SHARED, fd, buffer.m.offset));
      ready_ = ready_ && maps_.back() != MAP_FAILED && !ioctl(fd, VIDIOC_QBUF, &buffer);
    }
    ready_ = ready_ && !ioctl(fd, VIDIOC_STREAMON, &format.type);
  }

  bool read(Frame* frame) {
    v4l2_buffer buffer = make_buffer(0);
    if (!ready_ || ioctl(fd_, VIDIOC_DQBUF, &buffer) != 0) return false;
    const auto* data = static_cast<const uint8_t*>(maps_[buffer.index]);
    std::copy(data, data + std::min<size_t>(frame->size(), buffer.bytesused), frame->begin());
    return ioctl(fd_, VIDIOC_QBUF, &buffer) == 0;
  }

 private:
  static v4l2_buffer make_buffer(uint32_t index) {
    v4l2_buffer buffer{};
    buffer.index = index, buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
  }
  int fd_;
  bool ready_;
  std::vector<void*> maps_;
};

int main(int argc, char** argv) {
  const int width = argc > 4 ? std::atoi(argv[3]) : 0, height = argc > 4 ? std::atoi(argv[4]) : 0;
  const int fps = argc > 5 ? std::atoi(argv[5]) : 30;
  if (width < 2 || width % 2 || height < 1 || width > 16384 || height > 16384 || fps < 1)
    return std::fprintf(stderr, "usage: camera MODEL.ecnn DEVICE|FILE WIDTH HEIGHT [FPS] (even width)\n"), 2;
  const ecnn::Model model(argv[1]);
  ecnn::Context context(model);
  if (!context) return std::fprintf(stderr, "camera: %s\n", ecnn_last_error()), 1;
  const int fd = open(argv[2], O_RDWR | O_CLOEXEC);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status)) return std::fprintf(stderr, "camera: cannot open %s\n", argv[2]), 1;

  const size_t bytes = static_cast<size_t>(width) * 2 * static_cast<size_t>(height);
  Frame newest(bytes), seen(bytes);
  long number = 0;  // of the newest frame; 0 before there is one
  bool ended = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::thread capture([&] {
    const bool device = S_ISCHR(status.st_mode);
    Camera camera(device ? fd : -1, static_cast<uint32_t>(width), static_cast<uint32_t>(height));
    Frame frame(bytes);
    for (bool more = true; more;) {
      if (device) {
        more = camera.read(&frame);
      } else {  // at the pace of a camera
        usleep(static_cast<useconds_t>(1000000 / fps));
        more = read(fd, frame.data(), bytes) == static_cast<ssize_t>(bytes);
      }
      const std::lock_guard<std::mutex> lock(mutex);
      if (more) ++number, newest.swap(frame);
      ended = !more;
      changed.notify_one();
    }
  });

  ecnn::Boxes boxes(100);
  for (long last = 0;;) {
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return ended || number > last; });
      if (number == last) break;
      last = number;
      seen.swap(newest);
    }
    if (context.detect(ecnn::image(seen.data(), width, height, ECNN_YUYV), &boxes))
      std::fprintf(stderr, "camera: %s\n", ecnn_last_error());
    std::printf("frame %ld:", last);
    for (const ecnn_box& b : boxes)
      std::printf(" %s %.2f", model.label(b.class_id), static_cast<double>(b.score));
    std::printf("\n");
  }
  capture.join();
  return 0;
}
