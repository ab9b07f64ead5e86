# Toolchain: from any Debian or Ubuntu machine for a Raspberry Pi 4 with a 64-bit system.
#
# CMAKE_SYSROOT must be a root of Debian bullseye for arm64 with libc6-dev, libstdc++-10-dev and
# nlohmann-json3-dev (`make native` makes one): the program then runs on bullseye's glibc and on
# every later one. The cross compiler's own C library is newer, and its own headers and libraries
# come before the sysroot's unless they are named here.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CMAKE_SYSROOT)
set(triple aarch64-linux-gnu)
set(usr ${CMAKE_SYSROOT}/usr)
string(JOIN " " CMAKE_CXX_FLAGS_INIT
  -mcpu=cortex-a72 -nostdinc++
  -isystem ${usr}/include/c++/10 -isystem ${usr}/include/${triple}/c++/10
  -isystem ${usr}/include/${triple} -isystem ${usr}/include)
string(JOIN " " CMAKE_EXE_LINKER_FLAGS_INIT
  -B${usr}/lib/${triple} -L${usr}/lib/gcc/${triple}/10 -L${CMAKE_SYSROOT}/lib/${triple}
  -L${usr}/lib/${triple})

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
