"""Demo crystals that travel with the package, installed as ``chiralscreen_data``.

``demo/*.cif`` holds small, well-known crystals, one per file; the file stem is the material id.
They are written by ``make_demo.py`` from the published numbers in ``demo_crystals.toml``.
"""
