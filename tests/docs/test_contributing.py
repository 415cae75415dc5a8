"""What CONTRIBUTING.md says of the code is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STEP = re.compile(r"^\d\. `([\w/]+\.py)`: `(\w+)`", re.MULTILINE)


def test_the_walk_of_one_structure_names_functions_that_are_there():
    steps = _STEP.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(steps) == 8
    for path, name in steps:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name
