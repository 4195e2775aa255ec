"""A session: one process tree in a container that keeps models loaded and evaluates what `docker exec` asks.

    serve      the container's command: listens, forks an evaluator for each run.py, keeps the worker alive
    evaluations  the forks it made: started, signalled, awaited
    evaluator  such a fork, in which VLMEvalKit is already imported: reads the benchmark, asks, scores
    worker, worker_main  the process that holds the models; answers the evaluators' questions in turn
    client     what run.py does when a session is there: hands over its arguments, streams and signals

    place, wire, peer   the sockets: one private folder, messages, who is on the other end
    remote              a model in an evaluator whose answers come from the worker

Everything goes over Unix sockets in a folder of mode 0700; nothing listens on a network.
"""
