"""The command `vldock`: parse options, call the packages below, print.

The only package of the host that imports click, and the only one that prints results. Nothing imports it but tests.

main            group, headings, lazy imports, exit codes
options         options that several commands share
build           build, lock, generate
engine          engine, base
matrix/         matrix
report          report, compare
run             run, shell
session/        session and its subcommands
catalogue/      models, benchmarks

Every other module holds the command of its name: cache, check, clean, doctor, equal, fetch, load, os_packages,
passport, predict, promote, rebuild_proof, receipt, sbom, train, verify, version.
"""
