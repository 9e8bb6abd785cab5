# What `cmake --install` puts where. Components: runtime (the shared library), devel (headers, static library, CMake
# package, pkg-config file), tools (ecnn-run).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS edgecnn edgecnn_shared EXPORT edgecnn
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT devel
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT devel)
install(TARGETS ecnn-run RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
install(FILES include/edgecnn/edgecnn.h include/edgecnn/edgecnn.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/edgecnn COMPONENT devel)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/edgecnn)
install(EXPORT edgecnn NAMESPACE edgecnn:: FILE edgecnn-targets.cmake DESTINATION ${package} COMPONENT devel)
configure_package_config_file(cmake/edgecnn-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/edgecnn-config.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/edgecnn-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/edgecnn-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/edgecnn-config-version.cmake DESTINATION ${package} COMPONENT devel)

file(RELATIVE_PATH EDGECNN_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/edgecnn.pc.in ${CMAKE_CURRENT_BINARY_DIR}/edgecnn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/edgecnn.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT devel)
