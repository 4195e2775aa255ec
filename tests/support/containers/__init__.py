"""Helpers of tests/docker: images, containers and sessions under test.

tracked_containers   started for a test and removed         tiny_image       an image of a few kilobytes
live_session         a session and its evaluations          closed_cluster   bundles and a matrix without a network
log_lines            the warnings an evaluation may print
"""
