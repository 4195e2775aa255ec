"""Vision features, computed once and cached on the disk.

Called by `python -m vldock.image features`, engines.disk_features, training and heads.
A program imports the names below.

space             identity of a feature, its key        shards            the files
file_locks        locks that end with their process     cache             get and put
evict             the size limit                        fsck              the check
listing           both as text and JSON                 cli               build, ls, fsck, evict
build             the builder, on one or several ranks  torchrun_store    the ranks
towers            models and processors of a build      processor         LLaVA's preprocessing
picture_rows      rows of a data set                    picture_loader    their pixels, in worker processes
prompt_features   hidden states for a prompt            for_evaluation    bit-exact features of an evaluation
lookup            data sets and batches of features     progress          a build's progress lines
model_choice      the model a user named              model_code        models of a user's own file
imported          features of models not here         pt_files          one .pt file for each row
pt_transfer       copies to and from such files       commands          `features build`, `export`, `import`
"""

from vldock.image.features.cache import FeatureCache, default_root
from vldock.image.features.space import Entry, Space

__all__ = ["Entry", "FeatureCache", "Space", "default_root"]
