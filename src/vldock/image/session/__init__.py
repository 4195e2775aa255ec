"""Session: one process tree with models loaded for `docker exec`.

Started by `vldock session start` (python -m vldock.image session serve); run_py attaches through client. Everything
goes over Unix sockets in a folder of mode 0700; nothing listens on a network.

client           run.py's side: hands over arguments, streams and signals
cli              the sub-commands: serve, status, load, unload, cancel, stop
bootstrap        starts the server: everything imported once, before the first run
server           event loop: forks an evaluator for each run, supervises the worker
clients          connections to the server
server_socket    its lock and listening sockets
evaluator_pool   its forks: started, signalled, reaped
evaluator        such a fork: runs run.py with VLMEvalKit imported already
worker_process   the worker's process, from the server's side
worker_failure   cause of its death, in one line
worker_main      the worker's process
worker           answers the evaluators' requests in turn
worker_listener  its I/O thread
fair_queue       its requests, round robin over clients
loaded_models    its models
model_memory     memory they need, memory free
worker_client    an evaluator's connection to the worker
remote_model     a model with answers from the worker
socket_paths     the private folder and its sockets
message_stream   pickles and descriptors over a socket
messages         types of all messages
"""
