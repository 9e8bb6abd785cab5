// Reads JSON (RFC 8259) from front to back, without building a tree: the caller asks for the values it knows,
// in the order in which they come, and skips the others.
//
//   json.object([&](const std::string& key) {
//     if (key == "classes") classes = json.number();
//     else json.skip();
//   });
//
// The first error, a value of another type included, ends everything: values read from then on are empty,
// loops end, and error() says what and where. Time and memory are of the order of the text.
#ifndef EDGECNN_RUNTIME_JSON_H_
#define EDGECNN_RUNTIME_JSON_H_

#include <cstddef>
#include <string>

namespace edgecnn {

class JsonReader {
 public:
  JsonReader(const char* text, size_t size) : begin_(text), at_(text), end_(text + size) {}

  // The type of the next value, by its first character: { [ " t f n, or 0 for a number; at the end 'E'.
  char peek();

  std::string string();
  double number();  // finite
  bool boolean();
  void skip();
  void finish();  // nothing may follow

  // Calls value(key) for each member, which reads or skips its value.
  template <class F>
  void object(const F& value) {
    if (!open('{')) return;
    for (bool first = true; next(first, '}'); first = false) {
      const std::string key = string();
      expect(':');
      if (failed()) return;
      value(key);
    }
  }

  // Calls element() for each, which reads or skips it.
  template <class F>
  void array(const F& element) {
    if (!open('[')) return;
    for (bool first = true; next(first, ']'); first = false) element();
  }

  void fail(const char* what);
  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }

 private:
  void space();
  bool take(char c);
  void expect(char c);
  bool open(char bracket);
  bool next(bool first, char bracket);
  void word(const char* letters);
  unsigned hex4();
  void escape(std::string* text);

  const char* begin_;
  const char* at_;
  const char* end_;
  int depth_ = 0;
  std::string error_;
};

}  // namespace edgecnn

#endif  // EDGECNN_RUNTIME_JSON_H_
