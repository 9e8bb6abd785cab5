#include "runtime/json.h"

#include <locale.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

namespace edgecnn {
namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kMaxNumber = 64;  // characters

void append_utf8(unsigned code, std::string* text) {
  const auto byte = [&](unsigned value) { text->push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 63));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 63));
    byte(0x80 | (code & 63));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 63));
    byte(0x80 | (code >> 6 & 63));
    byte(0x80 | (code & 63));
  }
}

// strtod with a point as the decimal separator, whatever language the application speaks.
double parse_double(const char* text, char** end) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", static_cast<locale_t>(nullptr));
  return strtod_l(text, end, c_locale);
}

}  // namespace

void JsonReader::fail(const char* what) {
  if (!failed()) error_ = std::string(what) + " at byte " + std::to_string(at_ - begin_);
  at_ = end_;
}

void JsonReader::space() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
}

char JsonReader::peek() {
  space();
  if (at_ == end_) return 'E';
  return *at_ == '-' || (*at_ >= '0' && *at_ <= '9') ? 0 : *at_;
}

bool JsonReader::take(char c) {
  space();
  if (at_ == end_ || *at_ != c) return false;
  ++at_;
  return true;
}

void JsonReader::expect(char c) {
  if (!take(c)) fail("unexpected text");
}

bool JsonReader::open(char bracket) {
  if (depth_ == kMaxDepth) fail("nested too deeply");
  expect(bracket);
  if (failed()) return false;
  ++depth_;
  return true;
}

bool JsonReader::next(bool first, char bracket) {
  if (failed()) return false;
  if (take(bracket)) {
    --depth_;
    return false;
  }
  if (!first) expect(',');
  return !failed();
}

unsigned JsonReader::hex4() {
  unsigned value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at_ < end_ ? *at_++ : ' ';
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<unsigned>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + static_cast<unsigned>(lower - 'a' + 10);
    } else {
      fail("a damaged escape");
      return 0;
    }
  }
  return value;
}

void JsonReader::escape(std::string* text) {
  static const char kLetters[] = "\"\\/bfnrt";
  static const char kMeanings[] = "\"\\/\b\f\n\r\t";
  const char c = at_ < end_ ? *at_++ : ' ';
  if (c == 'u') {
    unsigned code = hex4();
    if (code >= 0xD800 && code < 0xDC00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      const char* const after = at_;
      at_ += 2;
      const unsigned low = hex4();
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      } else if (!failed()) {
        at_ = after;
      }
    }
    append_utf8(code >= 0xD800 && code < 0xE000 ? 0xFFFD : code, text);  // half of a pair means nothing
    return;
  }
  const char* const found = c ? std::strchr(kLetters, c) : nullptr;
  if (!found) return fail("a damaged escape");
  text->push_back(kMeanings[found - kLetters]);
}

std::string JsonReader::string() {
  std::string text;
  expect('"');
  while (!failed()) {
    if (at_ == end_) {
      fail("an open string");
    } else if (*at_ == '"') {
      ++at_;
      return text;
    } else if (*at_ == '\\') {
      ++at_;
      escape(&text);
    } else {
      text.push_back(*at_++);
    }
  }
  return std::string();
}

double JsonReader::number() {
  if (peek() != 0) {
    fail("no number");
    return 0;
  }
  char digits[kMaxNumber + 1];
  size_t size = 0;
  while (at_ + size < end_ && size < kMaxNumber && std::strchr("+-.eE0123456789", at_[size]) && at_[size]) {
    digits[size] = at_[size];
    ++size;
  }
  digits[size] = 0;
  char* end = nullptr;
  const double value = parse_double(digits, &end);
  if (size == kMaxNumber || *end || !std::isfinite(value)) {
    fail("not a number that can be used");
    return 0;
  }
  at_ += size;
  return value;
}

void JsonReader::word(const char* letters) {
  const size_t size = std::strlen(letters);
  if (static_cast<size_t>(end_ - at_) < size || std::memcmp(at_, letters, size) != 0) {
    fail("unexpected text");
  } else {
    at_ += size;
  }
}

bool JsonReader::boolean() {
  const bool value = peek() == 't';
  word(value ? "true" : "false");
  return value && !failed();
}

void JsonReader::skip() {
  switch (peek()) {
    case '{':
      object([this](const std::string&) { skip(); });
      break;
    case '[':
      array([this] { skip(); });
      break;
    case '"':
      string();
      break;
    case 't':
    case 'f':
      boolean();
      break;
    case 'n':
      word("null");
      break;
    default:
      number();
  }
}

void JsonReader::finish() {
  space();
  if (at_ != end_) fail("text behind the end");
}

}  // namespace edgecnn
