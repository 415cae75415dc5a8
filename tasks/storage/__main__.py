"""Print the data dictionary: ``python -m tasks.storage > docs/data-dictionary.md``."""

import sys

from tasks.tables.dictionary import data_dictionary

sys.stdout.write(data_dictionary())
