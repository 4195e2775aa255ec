"""Files of a run: benchmark tables and their images, predictions, output folder.

Called by patched vlmeval/smp, dataset and run.py.

tsv            benchmark files of the declared md5        download       their download
checksums      md5 of files                               local_copy     VLMEvalKit's copy of a large table
lmudata        $LMUData                                   output_folder  work and prediction folders, stand-in marks
table_check    checks of a table before its first question
table_images   images of a table                          image_paths    its image_path column
text_cells     texts as written, in every kind of table   text_changes   rows pandas would read differently
workbooks      cache of parsed workbooks                  atomic         atomic writes
"""
