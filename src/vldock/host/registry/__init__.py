"""A client of the OCI distribution API, with retries and read-back.

Called by images and promotion. Knows HTTP and docker's credentials; why it is ours: decisions/0004.

reference   names of images: engine, registry, tar
connection  options of a connection, and how it is opened
client      manifests, blobs and tags of one repository
upload      a blob in parts, resumed after a lost connection
transport   HTTP: retries, redirects, errors
auth        docker's credentials, basic and bearer
address     which addresses may be asked
answer      fields of an answer, checked
"""
