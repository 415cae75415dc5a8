"""e3nn's `o3` without torch's compiler, which takes longer to import than all the rest.

e3nn exempts one function from compilation. To note that, torch imports its whole compiler, which
takes 1.5 s in every process that loads a potential. The exemption is left out: no potential here is
compiled by torch.
"""

from collections.abc import Callable
from typing import Any

import torch


def _return_unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


_disable = torch.compiler.disable
torch.compiler.disable = _return_unchanged  # type: ignore[assignment]
try:
    from e3nn import o3
finally:
    torch.compiler.disable = _disable

__all__ = ["o3"]
