"""Tables: every column with its type, unit and meaning.

What comes in: nothing. What goes out: `declarations.TABLES` and the tables of the catalogue, rows
as Arrow tables of exactly these columns, the data dictionary. From outside import from
`declarations`, `columns` (to declare), `rows` (to convert) and `dictionary`; `chirality` holds
the record of the chirality stage. It knows no other room: a new column is declared here and
nowhere else.
"""
