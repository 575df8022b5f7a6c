# Debian's cross compiler, with the arm64 libraries in MOAT_SYSROOT (unpacked Debian packages).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MOAT_SYSROOT)
set(CMAKE_FIND_ROOT_PATH ${MOAT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
# Not optimised: it is not run, and the compiler has enough to say as it is.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${MOAT_SYSROOT}/usr/include -O0 -U_FORTIFY_SOURCE")
