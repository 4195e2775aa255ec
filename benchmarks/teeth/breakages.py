"""Deliberate breakages of the image, with tests to catch each.

They are data for campaign.py.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

SITE = "/opt/venv/lib/python3.11/site-packages"
LLAVA = "/workspace/LLaVA/llava"
VLMEVAL = "/workspace/VLMEvalKit/vlmeval"
VLDOCK = "/opt/vldock/vldock"
HOOKS = f"{VLDOCK}/image/vlmeval_hooks"
WRAPPER = f"{VLMEVAL}/vlm/llava/llava.py"

REPLACE = (
    "import base64,json,pathlib,sys; path,old,new=json.loads(base64.b64decode(sys.argv[1])); p=pathlib.Path(path); "
    "t=p.read_text(); assert old in t, f'{old!r} is not in {path}'; p.write_text(t.replace(old,new))"
)


@dataclass(frozen=True)
class Breakage:
    """Breakage of the image: Dockerfile lines, and tests to notice.

    The lines come after FROM. `group` is a group of `vldock verify`, `file` one of its files; `test` begins the name
    of a test that must fail. `wheels` are requirements whose wheels lie in /wheels while it is built.
    """

    name: str
    lines: tuple[str, ...]
    group: str
    file: str
    test: str
    wheels: tuple[str, ...] = ()


def replaced(path: str, old: str, new: str) -> str:
    """Return the RUN line to replace text in a file.

    The line fails without that text.
    """
    words = base64.b64encode(json.dumps([path, old, new]).encode()).decode()
    return f'RUN ["/opt/venv/bin/python", "-B", "-c", "{REPLACE}", "{words}"]'


def shell(script: str) -> str:
    """Return a RUN line for bash."""
    return f"RUN {json.dumps(['/bin/bash', '-ec', script])}"


UNBOUND = "ENV PIP_CONSTRAINT="
INSTALL = "pip install -q --no-deps --no-cache-dir --no-index --find-links /wheels"
WHEELS = "COPY wheels/ /wheels/"
INSIDE, STATIC, USERS, OFFLINE = "inside", "static", "users", "offline"

BREAKAGES = (
    # patches
    Breakage("a patched file edited", (shell(f"echo '# edited' >> {WRAPPER}"),),
             INSIDE, "hooks/test_patches.py", "test_every_patch_is_applied"),
    Breakage("LLaVA swallows its imports again",
             (replaced(f"{LLAVA}/model/__init__.py", "from .language_model.llava_llama", "try:\n    import nothing\n"
                       "except:\n    pass\nelse:\n    from .language_model.llava_llama"),),
             INSIDE, "hooks/test_patches.py", "test_import_llava_imports_the_model"),
    Breakage("certificates are not verified",
             (shell(f"echo 'import ssl; ssl._create_default_https_context = ssl._create_unverified_context' >> "
                    f"{VLMEVAL}/smp/__init__.py"),),
             INSIDE, "hooks/test_patches.py", "test_"),
    Breakage("a benchmark left out of the registry",
             (replaced(f"{VLMEVAL}/dataset/image_yorn.py", "'POPE':", "'POPE_GONE':"),),
             INSIDE, "hooks/test_registries.py", "test_vlmevalkit_knows_the_benchmark"),
    # the pipeline
    Breakage("prompt without the system prompt",
             (replaced(WRAPPER, 'self.system_prompt + "USER: " + content', '"USER: " + content'),),
             INSIDE, "container/test_standin_smoke.py", "test_the_stand_in_answers_its_samples_on_a_cpu"),
    Breakage("images squashed instead of padded",
             (replaced(f"{LLAVA}/mm_utils.py", "if image_aspect_ratio == 'pad':", "if False:"),),
             INSIDE, "container/test_standin_smoke.py", "test_the_stand_in_answers_its_samples_on_a_cpu"),
    Breakage("channels in the wrong order",
             (replaced(WRAPPER, 'Image.open(s).convert("RGB")',
                       'Image.merge("RGB", Image.open(s).convert("RGB").split()[::-1])'),),
             INSIDE, "container/test_standin_smoke.py", "test_the_stand_in_answers_its_samples_on_a_cpu"),
    Breakage("device without index",
             (replaced(f"{VLDOCK}/image/engines/memory.py", "cuda_device.free_to_torch(device)",
                       "int(torch.cuda.mem_get_info(device)[0])"),),
             INSIDE, "container/test_cuda_device.py", "test_the_batched_engine_answers_on_a_gpu"),
    Breakage("eager attention by default",
             (replaced(f"{SITE}/transformers/models/llama/modeling_llama.py", '"sdpa": LlamaSdpaAttention',
                       '"sdpa": LlamaAttention'),
              shell(f"/opt/venv/bin/python -m compileall -q -f --invalidation-mode unchecked-hash "
                    f"{SITE}/transformers/models/llama")),
             INSIDE, "engines/test_attention.py", "test_every_layer_calls_sdpa"),
    Breakage("a shard of a stand-in damaged",
             (shell(f"f=$(find {VLDOCK}/image/standin/assets -size +100k -path '*blobs*' | sort | head -1); "
                    "printf X | dd of=$f bs=1 seek=5000 conv=notrunc status=none"),),
             INSIDE, "container/test_standin.py", "test_the_assets_are_what_the_manifest_says"),
    # what is installed
    Breakage("a wheel of another version",
             (UNBOUND, WHEELS, shell(f"{INSTALL} tokenizers==0.15.2")),
             INSIDE, "container/test_versions.py", "test_the_installed_version_is_the_locked_one",
             ("tokenizers==0.15.2",)),
    Breakage("a package too many", (UNBOUND, WHEELS, shell(f"{INSTALL} sortedcontainers")),
             INSIDE, "container/test_versions.py", "test_nothing_is_installed_that_is_not_locked",
             ("sortedcontainers==2.4.0",)),
    Breakage("a flash-attn stub on the path",
             (shell(f"mkdir {SITE}/flash_attn && echo '__version__ = \"2.5.8\"' > {SITE}/flash_attn/__init__.py"),),
             INSIDE, "commands/test_doctor.py", "test_"),
    Breakage("a CUDA library gone", (shell(f"rm {SITE}/nvidia/cusparse/lib/libcusparse.so.12"),),
             INSIDE, "container/test_libraries.py", "test_"),
    Breakage("the lock in the image edited", (shell("sed -i 's/^pillow==/pillow==9./' /opt/vldock/locks/*.lock"),),
             INSIDE, "container/test_versions.py", "test_the_installed_version_is_the_locked_one"),
    Breakage("pins not protected", (UNBOUND,),
             STATIC, "test_image.py", "test_a_pip_install_keeps_the_locked_versions"),
    # environment and entry
    Breakage("a cache variable moved", ("ENV HF_HOME=/root/.cache/huggingface",),
             STATIC, "test_image.py", "test_the_image_s_environment_is_the_declared_one"),
    Breakage("a token in the environment", ("ENV HF_TOKEN=hf_abcdefghijabcdefghijabcdefghij1234",),
             STATIC, "test_image.py", "test_"),
    Breakage("a token in a file",
             (shell("echo HF_TOKEN=hf_abcdefghijabcdefghijabcdefghij1234 > /workspace/VLMEvalKit/.env"),),
             STATIC, "test_file_system.py", "test_no_file_looks_like_a_secret"),
    Breakage("no health check", ("HEALTHCHECK NONE",),
             STATIC, "test_image.py", "test_the_image_says_how_it_is_entered_and_watched"),
    Breakage("no label of the lock", ('LABEL vldock.lock.sha256=""',),
             STATIC, "test_image.py", "test_a_label_says_where_the_image_comes_from"),
    Breakage("an exit code swallowed", (replaced("/usr/local/bin/entrypoint.sh", 'exec "$@"', '"$@" || true'),),
             OFFLINE, "test_evaluation.py", "test_what_cannot_run_is_said_in_one_line"),
    Breakage("run.py ends with 0 whatever failed",
             (replaced(f"{VLDOCK}/image/run_py.py", "return int(run.main() or 0)", "return int(run.main() and 0)"),),
             OFFLINE, "test_evaluation.py", "test_a_failed_evaluation_exits_one_with_its_cause"),
    Breakage("no score file is written",
             (replaced(f"{VLMEVAL}/dataset/image_yorn.py", "dump(score, score_tgt)", "pass"),),
             INSIDE, "commands/test_evaluate.py", "test_a_finished_cell_is_kept"),
    Breakage("results of another limit are taken",
             (replaced(f"{HOOKS}/provenance/run_identity.py", 'FIELDS = ("limit", ', "FIELDS = ("),),
             INSIDE, "hooks/test_patched_reuse.py", "test_another_limit_sets_the_earlier_files_aside"),
    Breakage("a folder in the user's way", (shell("chmod 0755 /workspace/outputs /workspace/.cache"),),
             INSIDE, "container/test_environment.py", "test_any_user_may_write_there"),
    # the file system
    Breakage("a file only root can read", (shell(f"chmod 0600 {SITE}/transformers/models/llama/modeling_llama.py"),),
             STATIC, "test_file_system.py", "test_every_file_can_be_read_by_any_user"),
    Breakage("a library anybody can change", (shell(f"chmod 0777 {SITE}/transformers"),),
             STATIC, "test_file_system.py", "test_only_the_user_s_own_folders"),
    Breakage("pip's cache left behind", (shell("mkdir -p /root/.cache/pip && echo x > /root/.cache/pip/wheel"),),
             STATIC, "test_file_system.py", "test_no_leftover_of_the_build_is_in"),
    Breakage("a compiler left behind", (shell("printf '#!/bin/sh\\n' > /usr/bin/gcc && chmod 755 /usr/bin/gcc"),),
             STATIC, "test_image.py", "test_no_compiler_is_in_the_image"),
    Breakage("a library copied into a second layer", (shell(f"touch {SITE}/torch/lib/libtorch_cuda.so"),),
             STATIC, "test_file_system.py", "test_little_of_the_image_is_hidden_by_a_later_layer"),
    Breakage("bytes nobody needs", (shell("head -c 400000000 /dev/urandom > /opt/blob"),),
             STATIC, "test_image.py", "test_the_image_is_at_most_six_gigabytes"),
)  # fmt: skip
