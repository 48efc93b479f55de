# SPDX-License-Identifier: Apache-2.0
#
# add_bpf_skeleton(NAME SOURCE): compiles SOURCE for BPF and makes its libbpf skeleton, as the
# interface library NAME with the header NAME.skel.h. A changed header rebuilds both.

find_program(BPF_CLANG NAMES clang REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

function(add_bpf_skeleton name source)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(header ${CMAKE_CURRENT_BINARY_DIR}/skeletons/${name}.skel.h)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/skeletons)
  # asm/ headers are in the multiarch folder, which clang does not search for the bpf target.
  set(arch_include /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Werror -Wno-unused-parameter
            -I${arch_include} -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPFILE ${object}.d
    MAIN_DEPENDENCY ${source}
    COMMENT "Building BPF object ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${header}
    # clang-tidy's analyzer looks into it although nobody here wrote it.
    COMMAND sh -c "{ echo '/* NOLINTBEGIN */' && ${BPFTOOL} gen skeleton ${object} name ${name} && echo '/* NOLINTEND */'; } > ${header}.tmp && mv ${header}.tmp ${header}"
    DEPENDS ${object}
    COMMENT "Generating BPF skeleton ${name}"
    VERBATIM)
  add_custom_target(${name}_skeleton_header DEPENDS ${header})
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/skeletons)
  target_link_libraries(${name} INTERFACE PkgConfig::LIBBPF)
  add_dependencies(${name} ${name}_skeleton_header)
endfunction()
