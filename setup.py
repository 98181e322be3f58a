"""The extension list and the C flags of the compiled modules; nothing else.

Switches (environment): MMATS_TRACE=1 builds for line coverage of the `.pyx` files. MMATS_DEBUG=1
keeps bounds checks on and compiles quickly, for a debugger. MMATS_SKIP_CORE=1 leaves the extensions
out: the Makefile installs the metadata so, and then compiles in place, incrementally.
"""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

TRACE = os.environ.get("MMATS_TRACE") == "1"
DEBUG = os.environ.get("MMATS_DEBUG") == "1"
SKIP_CORE = os.environ.get("MMATS_SKIP_CORE") == "1"

# No -march and no fast-math: a replay must be bit-identical on every machine.
COMPILE_ARGS = ["-O0" if TRACE or DEBUG else "-O3", "-ffp-contract=off", "-g" if DEBUG else "-g0"]
MACROS: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
DIRECTIVES: dict[str, bool] = {}
if TRACE:
    # Python >= 3.13 would route tracing to sys.monitoring, which coverage does not read for .pyx.
    MACROS += [
        ("CYTHON_TRACE", "1"),
        ("CYTHON_TRACE_NOGIL", "1"),
        ("CYTHON_USE_SYS_MONITORING", "0"),
    ]
    DIRECTIVES["linetrace"] = True
if DEBUG:
    DIRECTIVES["boundscheck"] = True


def extensions() -> list[Extension]:
    """One extension for each `.pyx` of the core and of the compiled example strategies."""
    sources = sorted([*Path("mmats/_core").glob("*.pyx"), *Path("strategies").glob("*.pyx")])
    return [
        Extension(
            ".".join(source.with_suffix("").parts),
            [source.as_posix()],
            include_dirs=[numpy.get_include(), "mmats/_core"],
            depends=["mmats/_core/fixed.h", "mmats/_core/mix.h", "mmats/_core/pages.h"],
            define_macros=MACROS,
            extra_compile_args=COMPILE_ARGS,
        )
        for source in sources
    ]


if SKIP_CORE:
    setup()
else:
    jobs = os.cpu_count() or 1
    setup(
        ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES, nthreads=jobs),
        options={"build_ext": {"parallel": jobs}},
    )
