"""The image's test groups, and the inputs of their receipt.

Called by cli.verify, cli.sbom and benchmarks/teeth; workflow is the door. Knows images, containers and receipts.

workflow            a whole verification, to its receipt
suite               runs the groups: pytest on the host, pytest in a container
groups              tests of each group; JUnit XML to a result
repeat              an earlier verification, some of whose groups run again
mini_benchmark      the group of real scores against published bands
sbom                bill of materials by syft
test_dependencies   pytest for the container, installed once for each lock
"""
