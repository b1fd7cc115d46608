# flags.cmake owns how everything is compiled: warnings, hardening, sanitizers.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
add_library(gpusize_flags INTERFACE)

set(GPUSIZE_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")
option(GPUSIZE_COVERAGE "Measure line coverage" OFF)
option(GPUSIZE_ANALYZE "Run gcc's static analyzer" OFF)
option(GPUSIZE_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

# Adds each flag that the compiler, or the linker, takes.
function(gpusize_compile_flags)
    set(CMAKE_REQUIRED_FLAGS -Werror) # clang takes flags of other machines, to warn that it does not use them
    foreach(flag ${ARGN})
        string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
        check_c_compiler_flag(${flag} ${have})
        if(${have})
            target_compile_options(gpusize_flags INTERFACE ${flag})
        endif()
    endforeach()
endfunction()

function(gpusize_link_flags)
    foreach(flag ${ARGN})
        string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
        check_linker_flag(C ${flag} ${have})
        if(${have})
            target_link_options(gpusize_flags INTERFACE ${flag})
        endif()
    endforeach()
endfunction()

target_compile_options(gpusize_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wundef -Wvla -Wswitch-enum -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Werror
    -ffp-contract=off) # the same bytes on every CPU
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(gpusize_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wjump-misses-init)
endif()
target_compile_definitions(gpusize_flags INTERFACE _GNU_SOURCE GPUSIZE_VERSION="${PROJECT_VERSION}")

if(GPUSIZE_FUZZ)
    target_compile_options(gpusize_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(GPUSIZE_SANITIZE)
    target_compile_options(gpusize_flags INTERFACE -fsanitize=${GPUSIZE_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(gpusize_flags INTERFACE -fsanitize=${GPUSIZE_SANITIZE})
endif()
if(GPUSIZE_COVERAGE)
    # Not of kernels, whose CPU probe would time its counters: with one that threads share in each loop it takes minutes.
    target_compile_options(gpusize_flags INTERFACE
                           "$<$<NOT:$<STREQUAL:$<TARGET_PROPERTY:NAME>,kernels>>:--coverage;-fprofile-update=atomic>")
    target_link_options(gpusize_flags INTERFACE --coverage)
endif()
if(GPUSIZE_ANALYZE)
    target_compile_options(gpusize_flags INTERFACE -fanalyzer)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(CMAKE_C_FLAGS_RELEASE "-O2 -g") # without NDEBUG: what is tested is what runs
    # The OpenSSF guide to hardening C; each flag probed, since compilers and machines differ.
    gpusize_compile_flags(-fstack-clash-protection -fstack-protector-strong -fcf-protection=full
        -mbranch-protection=standard -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks
        -fno-strict-overflow -fno-strict-aliasing -fexceptions)
    target_compile_options(gpusize_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    gpusize_link_flags(-Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
        -Wl,--no-copy-dt-needed-entries)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    include(CheckPIESupported)
    check_pie_supported(LANGUAGES C)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT have_lto OUTPUT lto_output LANGUAGES C)
    if(have_lto AND CMAKE_C_COMPILER_ID STREQUAL "GNU") # clang would need a linker that Debian does not install
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    endif()
endif()
