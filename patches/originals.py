"""Upstream packages to patch, and the sha256 of each file in their wheels."""

from __future__ import annotations

from patchlib import Package

LLAVA = Package(
    dist="llava-torch",
    version="1.2.2.post1",
    root="/workspace/LLaVA",
    originals={
        "llava/mm_utils.py": "5551c1a52ea5e7d6e4ae5ad5da430271b0cd648b044a9b812127a49f46895bcf",
        "llava/model/__init__.py": "ee39b249ed24855167f1d22459f04a8c13aa06d06f3778573175013d5b5fecd5",
        "llava/model/builder.py": "d9de4719dbd860e8d0a347bbdbb943f9f36fb6727a79e1f4d11df9cfee8dcdd1",
        "llava/model/llava_arch.py": "a4a4ef58ff98a1ff5492a28d035e1b956c721d241ca87494e76fa4e1bcb3b475",
        "llava/model/multimodal_encoder/builder.py": "2b00b9b863f5744daf3b405a43cdbd8997804939f084b2a73feaea8a085b67bc",
        "llava/model/multimodal_encoder/clip_encoder.py": "de9e53df54d4c7c89defe64500eb753e69cb24774244e6e2ee2116910b3d0def",  # noqa: E501
    },
)

# Upstream's commit the wheel of ms-vlmeval 0.0.20 was made from (2026-05-11).
VLMEVAL_COMMIT = "354a485c5a9e4a69a96cdf9d8dd8457e4f765116"

VLMEVAL = Package(
    dist="ms-vlmeval",
    version="0.0.20",
    root="/workspace/VLMEvalKit",
    originals={
        "vlmeval/__init__.py": "ec526a5603d92bbf0b8f1f91a13e94817f346f9e2d4ccb97c43de117ad2bcaf6",
        "vlmeval/config.py": "827bc8c4011b9bdbfc1353ca5b3446a38fc8bae87f756c853d9186e4d3d8eb7a",
        "vlmeval/run.py": "cf1fc008330ee55b5521f4f3d720be73a86de5f5a95d459f98b2d8ef1966ef35",
        "vlmeval/inference.py": "6e16d88099b0a49327e8fa112c210c8982dc5b273156fba7205ad68ef2b1925a",
        "vlmeval/smp/file.py": "1d3dbc0ce08ee7f2af0fc654d418697bf63fd4974ca0e61f1774f2fe3cbe3d69",
        "vlmeval/smp/log.py": "b2632fd8912722b9431543c43cc3d52a58e3d11b531eabed5248b80e959707a8",
        "vlmeval/smp/misc.py": "0c5061e7d8e0a708b81bd7258ede36128d510cc1e68df8a84c91a3fc7a44cc04",
        "vlmeval/smp/vlm.py": "48aad4c1b843ccdbbec4c8e502e7009f2a3562730d63c579309ea910e65f323a",
        "vlmeval/smp/status_report.py": "bef6e53a55fd00fe3cf90dcc1de238c6bd6dd47aeee186f82bd3163cb4d0233d",
        "vlmeval/api/__init__.py": "1d47a67766f30f7ec101be95528899dbcb9a496c68457649ad143bab0233106f",
        "vlmeval/api/doubao_vl_api.py": "badab6be8bfbedf100475b172028097335c7a2cabbb642fe20bd018bc36a0d41",
        "vlmeval/api/gpt.py": "356e7f903a18f680906e3d2af060d103bc1b1f0ad23064bd369fa8ee78c961c5",
        "vlmeval/api/kimivl_api.py": "8986b137a8a41ad53652b696da5eceabcf303577f3661660e9a07a3d1cc90060",
        "vlmeval/api/sensechat_vision.py": "ccad2537ab0f364b16d311d92b2febedab58dd5b0a6faa62039333e1c6fea66e",
        "vlmeval/api/taiyi.py": "a9586f97c1e606716ce43dcec2ff887c89a554657061b86c7d86a7d1b900891d",
        "vlmeval/dataset/__init__.py": "cabe9dcb0e1be309fcabdb181175b43e7511ed218d93d869ef60984e31999a14",
        "vlmeval/dataset/image_base.py": "b0f15b5902d9111111a87f195a0b5feaf6c74b756496b3897dd6394f7f496cfc",
        "vlmeval/dataset/image_ccocr.py": "4e5cea0c3e5cf7155ad5939e6139bf138616e7843b9e8274736ba9d381a7941f",
        "vlmeval/dataset/EgoExoBench/utils.py": "49ded3e6c0425f63eb99fc6c9c4e2779179f8555eb52b12631d542ddb821ed36",
        "vlmeval/dataset/matbench.py": "bd21f8559221a4ef1860342076d7ed88f8256e1b5e231fea0b534b157e76a4df",
        "vlmeval/dataset/mmrarebench.py": "c3812ba4d11dbc08ebd3e738a39cf63d19fe5c02729490acb6d0540a5e44b581",
        "vlmeval/dataset/oceanocr.py": "c63afce7f2db43dbaf182a725bd466c96524fcc93af7167e8e294065a593210e",
        "vlmeval/dataset/olmOCRBench/evaluator.py": "db95bf27570fdf48d470def8fe7a9587eff9f6c56de493351ec98f8dac05f17a",
        "vlmeval/dataset/ost_bench.py": "0d789649dccb2871ad6f6e0d8b9de513a94fa85e8e8b4c94fd3d667aaf7220e9",
        "vlmeval/dataset/utils/sarena.py": "a4cb894114864208d54ceb495fba18678d7410fd5bb812070aff1197395fc1aa",
        "vlmeval/dataset/utils/tamperbench.py": "6d3b5a0c2affcacaa5438b716e1c18190e9b1817532fbd7b2cbaa164f0154283",
        "vlmeval/dataset/utils/v2pbench/cau_acc.py": "aedb2f5a0a13c6f50c7b5bc143bacf3c4180c2575ac7ceca068ff25ff2d22001",
        "vlmeval/dataset/utils/vcrbench/cau_acc.py": "1b5563c3d044a30e75b4d70f1e8c02028786af0d9ebd767ccaad226d04780194",
        "vlmeval/dataset/image_mcq.py": "78023f4dfc0d207bdcbf66e522c0dbd0c712b881c86e1468ce582eac52d204ef",
        "vlmeval/dataset/image_vqa.py": "76c25adb8cdd598945cddd24c9ebd34e3dd00dd309c0f72dc03e7d110e3ad8a9",
        "vlmeval/dataset/text_base.py": "ed5ab501e275eb3654a7a7ef4074e3b648eae2219f88eeb3798745cdccc368d9",
        "vlmeval/dataset/video_dataset_config.py": "3960dc9a56cc5a5456300e19bca45a1a85760099f36d68ea55d7ce72c05805e9",
        "vlmeval/dataset/utils/multiple_choice.py": "8121d23f388e7766ad239980f381339916a744cffcf429a62d58ba4de5a7a176",
        "vlmeval/dataset/utils/yorn.py": "ae3150a636813ffd5e348f3adf953921576a03c8be878e282883de21779a1566",
        "vlmeval/vlm/__init__.py": "30c8e522255060e8014954c560d330cad736b9dbdfb8e17a4d91b24db50278e8",
        "vlmeval/vlm/logics.py": "db441ffdf30a2225c5e35a7f58a438336457d09e288de454c4c4ef7a550cf57f",
        "vlmeval/vlm/cogvlm.py": "43ba378ee8c0d6f23297f92d2bde8addeba8e2a01e916ce3d3b9904fc0d9dccd",
        "vlmeval/vlm/internvl/internvl_chat.py": "7ed448a1c32b73358e7f7aafd53308c514527ddabc32211a773eb8670b404eee",
        "vlmeval/vlm/minicpm_v.py": "781320e9aa78263ecf42cd5ae95b0def7856ab8287d3815a5e87cf238979293a",
        "vlmeval/vlm/llava/llava.py": "ef964d27f3bb559e3d6dc4b4aed227aae74402969caa0f0f825afbf05e2e0674",
    },
)
