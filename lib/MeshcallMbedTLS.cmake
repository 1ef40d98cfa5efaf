# SPDX-License-Identifier: Apache-2.0
# MeshcallMbedTLS.cmake - the target Meshcall::mbedtls, where mbedTLS is installed. Its version 2.28 has neither a file
# for pkg-config nor a CMake package, so header and libraries are looked for by name; later versions are found so too.
if(NOT TARGET Meshcall::mbedtls)
    find_path(MESHCALL_MBEDTLS_INCLUDE mbedtls/ssl.h)
    set(meshcall_mbedtls ${MESHCALL_MBEDTLS_INCLUDE})
    foreach(meshcall_name IN ITEMS mbedtls mbedx509 mbedcrypto)
        find_library(MESHCALL_LIB_${meshcall_name} ${meshcall_name})
        mark_as_advanced(MESHCALL_LIB_${meshcall_name})
        list(APPEND meshcall_mbedtls ${MESHCALL_LIB_${meshcall_name}})
    endforeach()
    mark_as_advanced(MESHCALL_MBEDTLS_INCLUDE)
    if(NOT meshcall_mbedtls MATCHES "NOTFOUND")
        list(POP_FRONT meshcall_mbedtls)
        add_library(Meshcall::mbedtls INTERFACE IMPORTED)
        target_include_directories(Meshcall::mbedtls INTERFACE ${MESHCALL_MBEDTLS_INCLUDE})
        target_link_libraries(Meshcall::mbedtls INTERFACE ${meshcall_mbedtls})
    endif()
endif()
