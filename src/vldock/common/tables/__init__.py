"""Check of a benchmark's table before its first question.

Problems are listed by row, with remedies. Called by run.py's hooks and `vldock check data`. Standard library only; the
caller brings the function that decodes an image.

check       check_table(): one pass over the file, for a published benchmark and a user's own TSV
reader      a TSV as pandas' parser splits it, with the places where the two disagree
problems    kinds of problems: those that refuse the table, those reported and counted
images      image cells: references, base64, names of files
texts       text cells of a row: options, answers, image markers
text_cells  which columns hold text, and its storage in a workbook
editions    which edition of a benchmark's file is accepted
"""

from vldock.common.tables.check import check_table
from vldock.common.tables.problems import Flaw, TableCheck

__all__ = ["Flaw", "TableCheck", "check_table"]
