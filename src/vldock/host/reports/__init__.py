"""Reports: a run's files as Markdown, HTML, tables and comparisons.

Called by cli and matrix. Reads the folder of a run (vldock.host.runs) and VLMEvalKit's files in it; starts nothing.

write             both reports of a run            markdown          EVALUATION_REPORT.md
html              report.html                      html_page         a self-contained page and its policy
run_summary       values both reports share        tables            one row per cell, CSV and XLSX
run_artifacts     last log lines, passports        prediction_table  VLMEvalKit's tables, read
samples           predictions with verdicts        sample_selection  samples shown in report.html
thumbnails        their images, as data URIs       score_intervals   the interval of each score
statistics        intervals and paired tests       reference_scores  scores others published
compare           two runs, cell by cell           paired_samples    two cells, sample by sample
equality          two sets of predictions
"""
