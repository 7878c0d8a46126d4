"""The shared nouns of personae: persona, prompt, corpus, adapter manifest, registry, wire schema, errors.

Everything here is plain data and files. It deliberately knows no torch, no network, and none of
the rooms (`bot`, `serving`, `training`) that use it. The one exception is `personae.cli`, the
front door, which imports the rooms lazily.
"""

__version__ = "0.1.0"
