"""The table of an examination of a potential, which is no part of a dataset."""

from typing import Final

from tasks.tables.columns import TIME, Column, Table, declare_real, declare_text

EXAMINATION: Final = Table(
    "examination",
    "What was measured of a potential, and what follows for a screening.",
    (
        declare_text("checkpoint_digest", "Digest of the potential's parameters."),
        declare_text("potential", "Name of the potential, with its average."),
        declare_text("dtype", "Precision of the examination."),
        declare_text("version", "Version of the program."),
        Column("examined_at", TIME, "", "When it was examined (UTC)."),
        declare_text(
            "verdict",
            'What it may be used for: "fit", "fit with the average over the inversion", "second '
            'opinion only" or "unfit".',
        ),
        declare_text("law", "What was measured; docs/examination.md lists all laws."),
        declare_text("title", "The same in words."),
        declare_text("subject", "Crystal in which it was measured, or the worst of them."),
        declare_real("value", "", "The number, in the unit of the column unit."),
        declare_text("unit", "Unit of value, limit and bound."),
        declare_real(
            "limit",
            "",
            "Up to it the number is good; empty where it is only told.",
            nullable=True,
        ),
        declare_real("bound", "", "Up to it the number is poor, beyond it bad.", nullable=True),
        declare_text("grade", '"good", "poor", "bad", or "told" for what is not judged.'),
        declare_text("meaning", "What the number means for a screening."),
        declare_text("remark", "What else there is to say.", nullable=True),
    ),
    ("checkpoint_digest",),
    long=True,
)
