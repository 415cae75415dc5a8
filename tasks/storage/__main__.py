"""Print the data dictionary: ``python -m tasks.storage > docs/data-dictionary.md``."""

import sys

from tasks.storage.dictionary import data_dictionary

sys.stdout.write(data_dictionary())
