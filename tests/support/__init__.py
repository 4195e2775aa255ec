"""Helpers of tests/unit and tests/docker.

Values                builders receipts run_folders saved_image
Data                  benchmark_tables feature_shards flower_dataset tiny_weights
Fake services         fake_hub fake_registry loopback_hub one_image_registry tls_registry
Real services         debian_registry slow_proxy
Test beds             closed_cluster promotion_fixture live_session session_server
Containers            tracked_containers tiny_image (tiny_python.sh, tiny_session.sh)
Caches                hub_cache_builder
Small helpers         log_lines paths wait_until
"""
