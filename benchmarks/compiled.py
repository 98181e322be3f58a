"""Cython helpers of the benchmarks, built on first use against the core of this tree."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from functools import cache
from types import ModuleType

from benchmarks.native import BUILD, HERE

ROOT = HERE.parent
_SETUP = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
name, source, folder = sys.argv[1:4]
sys.argv[1:] = ["-q", "build_ext", "--build-lib", folder, "--build-temp", folder]
setup(name=name, script_args=sys.argv[1:], ext_modules=cythonize(
    [Extension(name, [source], include_dirs=["mmats/_core"],
               extra_compile_args=["-O3", "-ffp-contract=off", "-g0"])],
    build_dir=folder, include_path=["."], quiet=True))
"""


@cache
def module(name: str) -> ModuleType:
    """Compile `benchmarks/NAME.pyx` if it or a declaration of the core changed, and import it."""
    sources = [HERE / f"{name}.pyx", *sorted((ROOT / "mmats" / "_core").glob("*.pxd"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = BUILD / f"{name}-{digest}-{sys.implementation.cache_tag}"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", _SETUP, name, f"benchmarks/{name}.pyx", str(folder)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        done.touch()
    found = next(folder.glob(f"{name}.*.so"))
    spec = importlib.util.spec_from_file_location(name, found)
    if spec is None or spec.loader is None:
        raise ImportError(f"{found} is no extension module")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
