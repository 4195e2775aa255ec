"""The look at a benchmark's table before its first question: its flaws, each with its row and cure.

reader    a TSV as pandas' parser takes it apart, with the places where the two disagree
problems  what can be wrong: which flaws refuse the table, which are only told and counted
images    the image cells: references, base64, names of files
check     check_table(): one pass over the file, the same for a published benchmark and a user's own TSV

Standard library only; whoever calls brings the function that decodes a picture.
"""

from vldock.common.tables.check import check_table
from vldock.common.tables.problems import Flaw, TableCheck

__all__ = ["Flaw", "TableCheck", "check_table"]
