"""Warnings for readers of one material's numbers."""

from typing import Final

from tasks.results.trust import assess_reliability, get_warning_text, select_rule_settings
from tasks.site.sources import MaterialDetails, parse_run_settings

_NOT_STORED: Final = (
    "Its force constants are not stored in this catalogue, so bands, motion and helicity over the "
    "directions of q are not shown. The command chiralscreen show computes them from the CIF."
)


def list_caveats(found: MaterialDetails) -> list[str]:
    """Warnings about the results of one material."""
    # Catalogues of older programs hold no warnings: they are judged by the present rules.
    trust = assess_reliability(found.row, select_rule_settings(parse_run_settings(found.run)))
    return [get_warning_text(code) for code in trust.warnings] + _list_recorded(found)


def _list_recorded(found: MaterialDetails) -> list[str]:
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
