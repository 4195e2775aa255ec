"""Images and a question in, an answer out: the answer run.py gives, from a command line, a file, or another program."""
