"""The Docker engine and its command line: detection, start, connection.

Called by everything that needs an engine. Starts one only by `vldock engine up`.

client           connection to the engine, and its status
docker_cli       docker commands on PATH that can build with BuildKit
start            starts an engine by systemd, or by hand as root
paths            files of an engine started by hand, and stale pid files
system_packages  apt-get install of missing packages
"""
