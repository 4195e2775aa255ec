"""Helpers of tests/unit and tests/docker.

registries        registries in memory, over TLS, as a process
containers        images, containers and sessions under test (tests/docker)
Values            builders receipts run_folders saved_image
Data              benchmark_tables feature_shards flower_dataset tiny_weights
Hugging Face      fake_hub loopback_hub hub_cache_builder
Test beds         promotion_fixture session_server
Small helpers     paths wait_until
"""
