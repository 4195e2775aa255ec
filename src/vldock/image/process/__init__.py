"""This process: imports, exit, memory. No knowledge of models or benchmarks.

lazy_imports     deferred import statements of VLMEvalKit's packages
deferred_module  a library imported when first used
env_file         .env files with tokens and keys
import_hook      call a function on each import of a module
fast_exit        exit without Python's teardown
stats            the kernel's figures of this process and container
source_digest    sha256 over the sources of packages
"""
