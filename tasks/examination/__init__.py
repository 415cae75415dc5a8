"""Examination of potentials: which of them are fit for a screening of chirality.

What comes in: a potential. What goes out: an `Examination`, findings with their grades and a
verdict, as rows and as a file. From outside import the names below, and `lattice_dynamics` and
`invariance` for single measurements. It knows `potentials` and the rooms of physics up to
`tasks.chirality`.
"""

from tasks.examination.driver import examine
from tasks.examination.judgement import Examination, Verdict
from tasks.examination.laws import LAWS, Finding, Grade, Law
from tasks.examination.records import find_examination, make_rows, write_examination

__all__ = [
    "LAWS",
    "Examination",
    "Finding",
    "Grade",
    "Law",
    "Verdict",
    "examine",
    "find_examination",
    "make_rows",
    "write_examination",
]
