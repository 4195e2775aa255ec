"""Prediction: images and a question in, the answer of run.py out.

Called by `python -m vldock.image predict`; a program imports model.load and request.Request.

cli              one question, or a file of them        model            a loaded model: ask, answer
request          Request and Answer                     batch            JSONL in, JSONL out, resumable
pictures         files, URLs, data: URIs, stdin         image_download   bounded downloads
wrappers         LLaVA's wrapper, or vldock's           prompt_sent      hash and length of a prompt
generate_calls   prompts and tokens of generate()
remote_code_wrappers  wrappers of models with remote code, and the images they read
answer_stream    streaming of an answer                 partial_text     the part that may be shown
"""
