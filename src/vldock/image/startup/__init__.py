"""Start of a command: environment, stand-ins, foreign Python.

Runs before anything heavy is imported.
Called first by run_py and every sub-command.

prepare         .env, stand-ins, writable folders, deferred imports, timing
foreign_python  Python code from outside the image, refused
data_root       $LMUData
"""
