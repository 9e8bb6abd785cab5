// pipeline MODEL.ecnn WIDTH HEIGHT < FRAMES.nv12
//
// Finds objects in every frame of a video: one thread reads, another detects, so that neither waits for the
// other's work. For example:
//   ffmpeg -i video.mp4 -f rawvideo -pix_fmt nv12 - | pipeline model.ecnn 640 480
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <edgecnn/edgecnn.hpp>
#include <mutex>
#include <thread>

using Frame = std::vector<uint8_t>;

// Frames on their way from one thread to another; who finds it full, or empty, waits.
class Queue {
 public:
  explicit Queue(size_t room) : room_(room) {}

  void push(Frame frame) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return frames_.size() < room_ || ended_; });
    frames_.push_back(std::move(frame));
    changed_.notify_all();
  }

  // No frame comes after this, and none is waited for.
  void end() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  // False when there will be none.
  bool pop(Frame* frame) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !frames_.empty() || ended_; });
    if (frames_.empty()) return false;
    *frame = std::move(frames_.front());
    frames_.pop_front();
    changed_.notify_all();
    return true;
  }

 private:
  const size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Frame> frames_;
  bool ended_ = false;
};

int main(int argc, char** argv) {
  const int width = argc == 4 ? std::atoi(argv[2]) : 0, height = argc == 4 ? std::atoi(argv[3]) : 0;
  if (width < 2 || height < 2 || width % 2 || height % 2 || width > 16384 || height > 16384) {
    return std::fprintf(stderr, "usage: pipeline MODEL.ecnn WIDTH HEIGHT < FRAMES.nv12 (even sizes)\n"), 2;
  }
  const ecnn::Model model(argv[1]);
  ecnn::Context context(model);
  if (!context) return std::fprintf(stderr, "pipeline: %s\n", ecnn_last_error()), 1;

  constexpr size_t kRoom = 2;
  Queue full(kRoom), empty(kRoom);  // frames go round: nothing is allocated after the first
  const size_t bytes = static_cast<size_t>(width) * static_cast<size_t>(height) * 3 / 2;
  for (size_t i = 0; i < kRoom; ++i) empty.push(Frame(bytes));
  std::thread reader([&] {
    Frame frame;
    while (empty.pop(&frame) && std::fread(frame.data(), 1, bytes, stdin) == bytes)
      full.push(std::move(frame));
    full.end();
  });

  Frame frame;
  ecnn::Boxes boxes(100);
  int result = 0;
  for (int number = 1; full.pop(&frame); ++number) {
    if (context.detect(ecnn::image(frame.data(), width, height, ECNN_NV12), &boxes)) {
      std::fprintf(stderr, "pipeline: %s\n", ecnn_last_error());
      result = 1;
      break;
    }
    std::printf("frame %d:", number);
    for (const ecnn_box& b : boxes) {
      std::printf(" %s %.2f", model.label(b.class_id), static_cast<double>(b.score));
    }
    std::printf("\n");
    empty.push(std::move(frame));
  }
  empty.end();
  reader.join();
  return result;
}
