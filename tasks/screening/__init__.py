"""Screening: which work is left, in which order, and doing it.

What comes in: a source, settings, a dataset and the card of a potential. What goes out: a `Plan`,
and committed rows. Records are read and classified in `classification`, decided on in
`decisions`, committed in `plan`; `planning` has the keys, costs and chunks, `triage` the order,
`stages` the computation, `external` the force constants from elsewhere. Flows may import from all
of them. It knows every room above it but `tasks.generation`.
"""
