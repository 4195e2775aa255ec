"""Sessions: containers with loaded models, for evaluations that start at once.

Called by cli. Knows containers and the session command inside the image; what runs inside is vldock.image.session.

spec     options, labels and the container spec they make
start    make the container and follow it until its models are loaded
find     sessions of an engine, by their labels
control  short commands in a session: status, cancel, signal
exec     a command in a session, with live streams and Ctrl-C
stop     end one session, or all stale ones
owner    the process a session belongs to
display  a start in progress, the table of sessions, one in full
"""
