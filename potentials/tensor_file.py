"""Files of tensors and texts, read without running any code from them."""

import pickle
from pathlib import Path
from typing import Any

import torch


def load_tensors(path: Path, kind: str) -> dict[str, Any]:
    """Read a file of tensors and texts, without running any code from it.

    Parameters
    ----------
    path : pathlib.Path
        Written by torch.save.
    kind : str
        What its entry ``format`` must be.

    Returns
    -------
    dict
        The content, on the CPU.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    with path.open("rb") as stream:
        try:
            content = torch.load(stream, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            raise ValueError(f"{path} is no {kind} file, or holds more than tensors") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise ValueError(f"{path} is no {kind} file")
    return content
