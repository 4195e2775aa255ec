"""Helpers without domain knowledge; they import nothing of vldock.host but errors.

Called by every host package.

console         output: results, remarks, sizes, durations
process         other programs: captured, streamed, attached
worker_threads  parallel work that Ctrl-C ends at once
retry           retries of network requests, with pauses
https_session   redirects restricted to https
redaction       addresses and errors without secrets
process_lock    a lock of one process on a folder
signals         SIGTERM and SIGHUP as Ctrl-C
checkout        the checkout: folder, revision, inputs of the image
"""
