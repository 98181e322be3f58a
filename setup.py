"""The extension list and the C flags of the compiled core; nothing else.

Switches (environment): MMATS_TRACE=1 builds for line coverage of the `.pyx` files,
MMATS_DEBUG=1 keeps bounds checks on.
"""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

TRACE = os.environ.get("MMATS_TRACE") == "1"
DEBUG = os.environ.get("MMATS_DEBUG") == "1"

# No -march and no fast-math: a replay must be bit-identical on every machine.
COMPILE_ARGS = ["-O1" if TRACE else "-O3", "-ffp-contract=off", "-g0"]
MACROS: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
DIRECTIVES: dict[str, bool] = {}
if TRACE:
    # Python >= 3.13 would route tracing to sys.monitoring, which coverage does not read for .pyx.
    MACROS += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
    DIRECTIVES["linetrace"] = True
if DEBUG:
    DIRECTIVES |= {"boundscheck": True, "wraparound": False}

extensions = [
    Extension(
        f"mmats._core.{source.stem}",
        [source.as_posix()],
        include_dirs=[numpy.get_include(), "mmats/_core"],
        depends=["mmats/_core/fixed.h"],
        define_macros=MACROS,
        extra_compile_args=COMPILE_ARGS,
    )
    for source in sorted(Path("mmats/_core").glob("*.pyx"))
]

setup(ext_modules=cythonize(extensions, compiler_directives=DIRECTIVES, nthreads=2))
