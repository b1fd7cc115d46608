# device.cmake owns the code that runs on GPUs: whether there is an nvcc, which images are embedded, how they are made.
# Device code is compiled by commands of its own, not as a CMake language: no sanitizer, no warning flag and no
# link-time optimisation of the host's code gets near it, and what the assembler says of registers and spills is kept.
# The presets whose program no test runs on a GPU (tsan, coverage, ...) leave it out: it takes a minute of two CPUs.
set(GPUSIZE_CUDA AUTO CACHE STRING "Device code of gpusize-probe: AUTO (if there is an nvcc that works), ON or OFF")
set_property(CACHE GPUSIZE_CUDA PROPERTY STRINGS AUTO ON OFF)

# SASS for each of these that the toolkit knows; PTX for what comes after: 89 keeps fp8 for any later part, 120 serves
# future ones best.
set(device_sass_wanted 75 80 86 87 88 89 90 100 103 110 120 121)
set(device_ptx_wanted 89 120)

# Sets NAME_OUT to what is lacking; empty if device code can be made.
function(device_find_compiler name_out)
    find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME /usr/local/cuda PATH_SUFFIXES bin)
    set(${name_out} "" PARENT_SCOPE)
    if(NOT CMAKE_CUDA_COMPILER)
        set(${name_out} "there is no nvcc (PATH, CUDA_PATH, /usr/local/cuda)" PARENT_SCOPE)
        return()
    endif()
    get_filename_component(bin ${CMAKE_CUDA_COMPILER} REALPATH)
    get_filename_component(root ${bin} DIRECTORY)
    get_filename_component(root ${root} DIRECTORY)
    find_library(GPUSIZE_CUDART cudart_static HINTS ${root}
                 PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib targets/sbsa-linux/lib)
    if(NOT GPUSIZE_CUDART)
        set(${name_out} "${root} has no libcudart_static.a" PARENT_SCOPE)
        return()
    endif()
    if(NOT DEFINED GPUSIZE_NVCC_WORKS OR NOT GPUSIZE_NVCC_WORKS STREQUAL CMAKE_CUDA_COMPILER)
        file(WRITE ${CMAKE_BINARY_DIR}/device/try.cu
             "__global__ void nothing() {}\nvoid f() { nothing<<<1, 1>>>(); }\n")
        execute_process(COMMAND ${CMAKE_CUDA_COMPILER} -std=c++17 -arch=sm_89 -c try.cu -o try.o
                        WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/device RESULT_VARIABLE failed OUTPUT_VARIABLE output
                        ERROR_VARIABLE output)
        if(failed)
            string(REGEX REPLACE "[;\n].*" "" output "${output}") # its first line
            set(${name_out} "${CMAKE_CUDA_COMPILER} compiles nothing: ${output}" PARENT_SCOPE)
            return()
        endif()
        set(GPUSIZE_NVCC_WORKS ${CMAKE_CUDA_COMPILER} CACHE INTERNAL "the nvcc that has compiled something")
    endif()
endfunction()

# Of the wanted ones those that nvcc lists.
function(device_known_architectures wanted option prefix list_out)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} ${option} OUTPUT_VARIABLE listed OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX MATCHALL "${prefix}_[0-9]+" listed "${listed}")
    set(known "")
    foreach(architecture ${wanted})
        if("${prefix}_${architecture}" IN_LIST listed)
            list(APPEND known ${architecture})
        endif()
    endforeach()
    set(${list_out} "${known}" PARENT_SCOPE)
endfunction()

# Sets, in the caller: device_objects (empty without device code), device_cuda_version, device_sass, device_ptx (lists),
# device_why_not. Writes device/images.txt, a line for each image that every object has to embed.
function(gpusize_device_code folder include_folder)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cu)
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cuh ${CMAKE_SOURCE_DIR}/${folder}/*.h)
    set(why_not "")
    set(objects "")
    if(GPUSIZE_CUDA STREQUAL "OFF")
        set(why_not "GPUSIZE_CUDA is OFF")
    elseif(NOT sources)
        set(why_not "${folder} has no *.cu")
    else()
        device_find_compiler(why_not)
    endif()
    if(why_not AND GPUSIZE_CUDA STREQUAL "ON")
        message(FATAL_ERROR "GPUSIZE_CUDA is ON, but ${why_not}")
    endif()
    set(device_sass "")
    set(device_ptx "")
    set(version "")
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/device)
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/device/why_not.txt CONTENT "${why_not}" @ONLY)
    if(NOT why_not)
        device_known_architectures("${device_sass_wanted}" --list-gpu-code sm device_sass)
        device_known_architectures("${device_ptx_wanted}" --list-gpu-arch compute device_ptx)
        execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE version)
        string(REGEX MATCH "V([0-9.]+)" version "${version}")
        set(version ${CMAKE_MATCH_1})
        set(images "")
        set(codes "")
        foreach(architecture ${device_sass})
            list(APPEND codes -gencode arch=compute_${architecture},code=sm_${architecture})
            string(APPEND images "elf ${architecture}\n")
        endforeach()
        foreach(architecture ${device_ptx})
            list(APPEND codes -gencode arch=compute_${architecture},code=compute_${architecture})
            string(APPEND images "ptx ${architecture}\n")
        endforeach()
        file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/device/images.txt CONTENT "${images}")
        foreach(source ${sources})
            get_filename_component(name ${source} NAME_WE)
            set(object ${CMAKE_BINARY_DIR}/device/${name}.o)
            # -Xptxas -v: registers and spills of every kernel, kept beside the object and checked by tests/kernels.
            add_custom_command(OUTPUT ${object} BYPRODUCTS ${object}.ptxas
                COMMAND ${CMAKE_SOURCE_DIR}/cmake/keep_output.sh ${object}.ptxas
                        ${CMAKE_CUDA_COMPILER} -std=c++17 -O3 ${codes} -Xfatbin -compress-all -Xptxas -v
                        -Xcompiler -fPIE,-O2,-Wall,-Wextra -I ${include_folder} -D_GNU_SOURCE
                        -MD -MF ${object}.d -c ${source} -o ${object}
                DEPENDS ${source} ${headers} ${CMAKE_SOURCE_DIR}/cmake/keep_output.sh DEPFILE ${object}.d
                COMMENT "Compiling device code ${name}.cu" VERBATIM)
            list(APPEND objects ${object})
        endforeach()
        list(JOIN device_sass " " shown)
        message(STATUS "Device code: by nvcc ${version}, SASS ${shown}")
    else()
        message(STATUS "Device code: none, as ${why_not}: gpusize-probe measures the CPU only")
    endif()
    set(device_objects "${objects}" PARENT_SCOPE)
    set(device_cuda_version "${version}" PARENT_SCOPE)
    list(JOIN device_sass " " device_sass)
    list(JOIN device_ptx " " device_ptx)
    set(device_sass "${device_sass}" PARENT_SCOPE)
    set(device_ptx "${device_ptx}" PARENT_SCOPE)
    set(device_why_not "${why_not}" PARENT_SCOPE)
endfunction()
