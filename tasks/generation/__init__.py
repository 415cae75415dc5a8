"""New crystals: made by exchange of ions or drawn from a model, and assessed.

What comes in: a source of crystals; or a model of Wyckoff sequences, conditions and a potential.
What goes out: candidates; how valid, new, unique and stable the crystals of a generator are. From
outside import from the modules, not from here. The way of a new crystal: `sampling` draws a
sequence (`sequences`) from a `model` (`network`, taught by `learning`), `placement` gives it a cell
and points, `candidates` relaxes it. It knows `potentials`, `tasks.sources`, `tasks.crystals`,
`tasks.relaxation`, `tasks.symmetry` and `tasks.thermodynamics`.
"""
