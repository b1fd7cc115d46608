# flags.cmake owns how everything is compiled: warnings, hardening, sanitizers.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
add_library(gpusize_flags INTERFACE)

set(GPUSIZE_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")
option(GPUSIZE_COVERAGE "Measure line coverage" OFF)
option(GPUSIZE_ANALYZE "Run gcc's static analyzer" OFF)

target_compile_options(gpusize_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wundef -Wvla -Wswitch-enum -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Werror
    -ffp-contract=off) # the same bytes on every CPU
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(gpusize_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wjump-misses-init)
endif()
target_compile_definitions(gpusize_flags INTERFACE _GNU_SOURCE GPUSIZE_VERSION="${PROJECT_VERSION}")

if(GPUSIZE_SANITIZE)
    target_compile_options(gpusize_flags INTERFACE -fsanitize=${GPUSIZE_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(gpusize_flags INTERFACE -fsanitize=${GPUSIZE_SANITIZE})
endif()
if(GPUSIZE_COVERAGE)
    target_compile_options(gpusize_flags INTERFACE --coverage)
    target_link_options(gpusize_flags INTERFACE --coverage)
endif()
if(GPUSIZE_ANALYZE)
    target_compile_options(gpusize_flags INTERFACE -fanalyzer)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    # OpenSSF hardening guide; each flag probed, since compilers differ.
    foreach(flag -fstack-clash-protection -fstack-protector-strong -fcf-protection=full
            -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks)
        string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
        check_c_compiler_flag(${flag} ${have})
        if(${have})
            target_compile_options(gpusize_flags INTERFACE ${flag})
        endif()
    endforeach()
    target_compile_options(gpusize_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    foreach(flag -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--as-needed)
        string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
        check_linker_flag(C ${flag} ${have})
        if(${have})
            target_link_options(gpusize_flags INTERFACE ${flag})
        endif()
    endforeach()
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    include(CheckPIESupported)
    check_pie_supported(LANGUAGES C)
endif()
