"""Steps of the image build.

Each runs once, inside the Dockerfile, with the standard library only.
install_lock.sh      stage deps: the lock into /opt/venv, by lock_part, prove, relocate and shave
stage_workspace.sh   stage lock: sources, patches, index_benchmarks, build_facts
verify.sh            stage verify: in-image tests and verify_receipt

lock_part         hashed lines of some packages of a lock
prove             installed = locked
relocate          LLaVA and VLMEvalKit, editable
shave             unusable files removed
index_benchmarks  index of VLMEvalKit's benchmarks
build_facts       build.json
verify_receipt    verify.json
"""
