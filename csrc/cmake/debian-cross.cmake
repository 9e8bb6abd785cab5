# The common part of the toolchain files: Debian's cross compiler for ${triplet}.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")

# A library that is to load on older systems is built against the C and C++ libraries of one: EDGECNN_SYSROOT, as
# docker/wheels.py makes it from Debian's packages. The cross compiler would look for its own first.
if(DEFINED ENV{EDGECNN_SYSROOT})
  set(CMAKE_SYSROOT $ENV{EDGECNN_SYSROOT})
  file(GLOB gcc ${CMAKE_SYSROOT}/usr/lib/gcc/${triplet}/*)
  get_filename_component(version ${gcc} NAME)
  set(include ${CMAKE_SYSROOT}/usr/include)
  set(CMAKE_CXX_FLAGS_INIT
      "-nostdinc++ -isystem ${include}/c++/${version} -isystem ${include}/${triplet}/c++/${version}")
  set(libraries "")
  foreach(folder ${gcc} ${CMAKE_SYSROOT}/usr/lib/${triplet} ${CMAKE_SYSROOT}/lib/${triplet})
    string(APPEND libraries " -B${folder} -L${folder}")
  endforeach()
  set(CMAKE_MODULE_LINKER_FLAGS_INIT "${libraries}")
  set(CMAKE_SHARED_LINKER_FLAGS_INIT "${libraries}")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT "${libraries}")
endif()
