"""Registries to promote to and pull from.

fake_registry        in memory, as an adapter of requests       tls_registry    the same over TLS; a plain port
one_image_registry   serves one image; or never answers
debian_registry      Debian's docker-registry as a process      slow_proxy      bytes held or slowed before it
"""
