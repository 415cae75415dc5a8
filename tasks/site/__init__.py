"""Pages for people: the catalogue site, the report, the portrait of one crystal.

What comes in: datasets with a catalogue. What goes out: files of HTML and JSON, and a server to
look at them. `tasks.site.build.build_site` writes the site and `tasks.site.server.make_site_server`
serves it; `report` and `crystal_report` write one page each. They are imported from their modules,
so that serving need not wait for what building takes. It knows `tasks.results`, `tasks.figures` and
the rooms of physics.
"""
