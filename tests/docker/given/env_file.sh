#!/usr/bin/env bash
# ./.env as the documents mount it; the token is nobody's
printf 'HUGGING_FACE_HUB_TOKEN=hf_nobody\n' > .env
