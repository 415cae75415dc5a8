"""Print the data dictionary: ``python -m tasks.storage > docs/data-dictionary.md``."""

import sys

from tasks.tables.dictionary import format_data_dictionary

sys.stdout.write(format_data_dictionary())
