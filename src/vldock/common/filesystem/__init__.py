"""Writes, permissions and folders, on the host and in the container.

Called from everywhere; knows no Docker and no model. permissions and private_folder run at every start of a container,
so they import nothing slow.

atomic            beside, fsync, rename: bytes, text, JSON
permissions       what this user may read and write, and why not
permission_hints  the command that repairs a folder that cannot be written
private_folder    a user's own folder below the temporary folder
stray_writes      files written outside a workspace
"""
