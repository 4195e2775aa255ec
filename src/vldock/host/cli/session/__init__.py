"""`vldock session`: commands about containers that keep models loaded.

group   the group; ls, status, logs, stop, gc
start   `session start`
exec    `session eval` and `session exec`
"""
