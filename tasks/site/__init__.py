"""The catalogue site: a table of materials, a page for each, and a server to look at them.

`tasks.site.build.build_site` writes it and `tasks.site.server.site_server` serves it. They are
imported from their modules, so that serving need not wait for what building takes.
"""
