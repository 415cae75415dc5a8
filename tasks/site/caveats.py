"""Warnings for readers of one material's numbers."""

from typing import Final

from tasks.results.trust import assess, followed_settings, warning_text
from tasks.site.sources import Details, run_settings

_NOT_STORED: Final = (
    "Its force constants are not stored in this catalogue, so bands, motion and helicity over the "
    "directions of q are not shown. The command chiralscreen show computes them from the CIF."
)


def caveats(found: Details) -> list[str]:
    """Warnings about the results of one material.

    Parameters
    ----------
    found : Details
        All there is of it.

    Returns
    -------
    list of str
        One sentence each, the gravest first.
    """
    # Catalogues of older programs hold no warnings: they are judged by the present rules.
    trust = assess(found.row, followed_settings(run_settings(found.run)))
    return [warning_text(code) for code in trust.warnings] + _recorded(found)


def _recorded(found: Details) -> list[str]:
    """Reasons that were stored with the results."""
    reason, image = found.row["reason"], found.row["enantiomorph_of"]
    relaxed = found.relaxation or {}
    stopped = relaxed.get("reason") if relaxed.get("converged") is False else None
    screened = found.row["outcome"] == "screened"
    texts = (
        f"Not computed: {reason}." if reason else "",
        f"Results follow from those of its mirror image {image}." if image else "",
        f"The relaxation stopped early: {stopped}." if stopped else "",
        _NOT_STORED if screened and found.force_constants is None else "",
    )
    return [text for text in texts if text]
