"""Writes the parts of the docs that the code knows best, between marks in hand-written Markdown.

    api.md              routes, and every object that goes over HTTP       api.py, routes.py, objects.py
    command-line.md     every command with its options                     command_line.py
    configuration.md    the column of defaults                             settings.py
    faq.md              the table of error codes                           error_codes.py

Run as: `python -m docs.generator` (or `make docs`). With `--check` nothing is written, and the exit code is
1 when a page is not what the code says; a test does the same.
"""
