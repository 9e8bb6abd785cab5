// What all functions of edgecnn.h share: the message of the last error, and structures of any age.
#ifndef EDGECNN_API_STATUS_H_
#define EDGECNN_API_STATUS_H_

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "edgecnn/edgecnn.h"

namespace edgecnn {

// Keeps the message for the calling thread, cut to fit; allocates nothing. Returns `status`.
ecnn_status fail(ecnn_status status, const char* message);
inline ecnn_status fail(ecnn_status status, const std::string& message) {
  return fail(status, message.c_str());
}

// A structure as this library knows it, from that of a caller who may know less of it or more: what the
// caller does not have keeps its default. False where its size cannot be right.
template <class T>
bool read_struct(const T* given, T* known) {
  if (given->size < sizeof(given->size)) return false;
  std::memcpy(known, given, std::min(given->size, sizeof(T)));
  known->size = sizeof(T);
  return true;
}

// The other way round.
template <class T>
bool write_struct(const T& known, T* given) {
  const size_t size = given->size;
  if (size < sizeof(size)) return false;
  std::memcpy(given, &known, std::min(size, sizeof(T)));
  given->size = size;
  return true;
}

// Runs the body of a function of the C API: no exception passes.
template <class Body>
ecnn_status guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(ECNN_ERROR_MEMORY, "not enough memory");
  } catch (...) {
    return fail(ECNN_ERROR_MEMORY, "the C++ runtime failed");
  }
}

}  // namespace edgecnn

#endif  // EDGECNN_API_STATUS_H_
