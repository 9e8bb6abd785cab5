# Cross build for 32-bit ARM (armhf) with Debian's g++-arm-linux-gnueabihf; programs are static:
#   cmake -S csrc -B build/armv7 -DCMAKE_TOOLCHAIN_FILE=cmake/arm-linux-gnueabihf.cmake
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(triplet arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
